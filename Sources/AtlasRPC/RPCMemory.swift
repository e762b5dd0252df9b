internal import Synchronization

/// What the connections of all event loops hold together: one bound for a server, however many loops it has.
final class RPCMemory: Sendable {
    /// Bytes of unfinished and waiting messages.
    let inbound = SharedSum()
    /// Bytes that calls have handed over and that have not left HTTP/2.
    let outbound = SharedSum()
    /// Connections that have some of `inbound`.
    let holders = Atomic<Int>(0)
    /// Connections that are open.
    let connections = Atomic<Int>(0)
}

/// A sum to which each loop adds its part.
final class SharedSum: Sendable {
    fileprivate let told = Atomic<Int>(0)
}

/// A loop's part of a sum. It tells the others in steps, so that the loops do not fight over the sum for each message; what a loop
/// sees is wrong by one step for each other loop at most.
struct SharedPart {
    private let sum: SharedSum
    private let step: Int
    private var told = 0

    /// - Parameter max: what the sum is bounded by.
    init(of sum: SharedSum, max: Int) {
        self.sum = sum
        step = min(64 << 10, max / 16)
    }

    /// This loop's.
    private(set) var own = 0

    /// That of all loops.
    var total: Int { sum.told.load(ordering: .relaxed) + own - told }

    mutating func add(_ bytes: Int) {
        own += bytes
        guard abs(own - told) > step || own == 0 else { return }
        sum.told.add(own - told, ordering: .relaxed)
        told = own
    }
}
