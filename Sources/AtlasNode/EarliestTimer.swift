internal import NIOCore
internal import AtlasTypes

/// One task on a loop, at the earliest of the times that were asked for. Whoever it calls asks again for later ones.
struct EarliestTimer {
    private var armed: (due: UInt64, task: Scheduled<Void>)?

    /// An earlier request stands.
    /// - Parameter due: monotonic nanoseconds; `UInt64.max` is never.
    mutating func arm(
        at due: UInt64,
        now: Instant,
        on loop: any EventLoop,
        _ fire: @escaping @Sendable () -> Void
    ) {
        guard due < armed?.due ?? .max else { return }
        armed?.task.cancel()
        let wait = Int64(clamping: due - min(due, now.monotonic))
        armed = (due, loop.scheduleTask(in: .nanoseconds(wait), fire))
    }

    /// Forgets the request, which has been served or does not matter any more.
    mutating func disarm() {
        armed?.task.cancel()
        armed = nil
    }
}
