package import AtlasWire

/// What nodes of one region have sent to nodes of another, or of the same one, since they started.
package struct RegionTraffic {
    package struct Pair: Hashable, Comparable {
        package var from: Int32
        package var to: Int32

        package init(from: Int32, to: Int32) {
            self.from = from
            self.to = to
        }

        package static func < (left: Pair, right: Pair) -> Bool {
            (left.from, left.to) < (right.from, right.to)
        }
    }

    package struct Amount: Equatable {
        package var bytes: UInt64 = 0
        package var messages: UInt64 = 0

        package init(bytes: UInt64 = 0, messages: UInt64 = 0) {
            self.bytes = bytes
            self.messages = messages
        }

        package mutating func add(bytes: UInt64, messages: UInt64) {
            self.bytes &+= bytes
            self.messages &+= messages
        }
    }

    package private(set) var amounts: [Pair: Amount] = [:]

    /// - Parameter reports: what nodes say, each of itself. What a node has sent that says nothing is what the others have
    ///   received from it.
    package init(_ reports: [Atlas_StatsResponse]) {
        let heard = Set(reports.map(\.node.nodeID))
        for report in reports {
            let region = report.node.regionID
            for peer in report.peers {
                amounts[Pair(from: region, to: peer.regionID), default: Amount()]
                    .add(bytes: peer.sentBytes, messages: peer.sentMessages)
                guard !heard.contains(peer.nodeID) else { continue }
                amounts[Pair(from: peer.regionID, to: region), default: Amount()]
                    .add(bytes: peer.receivedBytes, messages: peer.receivedMessages)
            }
        }
    }
}
