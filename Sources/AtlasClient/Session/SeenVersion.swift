internal import Synchronization

/// The highest version that a client has seen.
final class SeenVersion: Sendable {
    private let highest = Atomic<Version>(0)

    var version: Version {
        highest.load(ordering: .relaxed)
    }

    func note(_ version: Version) {
        if version > highest.load(ordering: .relaxed) { highest.max(version, ordering: .relaxed) }
    }

    /// The cluster no longer has `lost`: begin anew, unless somebody has done so already.
    func forget(_ lost: Version, newest: Version) {
        _ = highest.compareExchange(expected: lost, desired: newest, ordering: .relaxed)
    }
}
