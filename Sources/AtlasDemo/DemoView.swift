/// What the demo's screen shows.
struct DemoView: Sendable {
    struct Node: Sendable {
        var name: String
        var state: DemoCluster.NodeState
        var residentBytes: UInt64
        /// Tablets that it owns.
        var owned: Int
    }

    struct Region: Sendable {
        var name: String
        var nodes: [Node]
        var isCut: Bool
        /// Whether the workload is here.
        var hasLoad: Bool
        /// Of the workload's operations from here; `nil` if there were none lately.
        var operations: LatencyWindow.Summary?
    }

    /// From one region to another.
    struct Path: Sendable {
        /// As nodes measure it; `nil` if they have not.
        var roundTripMicroseconds: UInt64?
        var bytesPerSecond: Double
    }

    struct Tablet: Sendable {
        /// Empty: from the first key.
        var start: [UInt8]
        /// Empty: to the last key.
        var end: [UInt8]
        /// `nil`: nobody knows one.
        var owner: String?
        /// What the owner suffers from; `nil`: nothing.
        var trouble: String?
        /// How long ago it came there, and from where; `nil` if it has been there ever since.
        var moved: (ago: Duration, from: String)?
    }

    struct Event: Sendable {
        var ago: Duration
        var text: String
    }

    var age: Duration
    var place: DemoPlace
    var regions: [Region]
    /// By region and region; `nil` on the diagonal.
    var paths: [[Path?]]
    var tablets: [Tablet]
    /// The newest first.
    var events: [Event]
}
