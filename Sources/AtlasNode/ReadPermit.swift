package import AtlasCore
internal import NIOConcurrencyHelpers
internal import Synchronization
package import AtlasTypes

/// The core's word that consistent reads of a tablet may be answered from the newest applied state by any thread.
///
/// The permit is looked at first, then the state is read (see `Effect.permitReads`), then `isGone` is asked: a thread that
/// was held up in between may have read what nobody keeps up any more.
package final class ReadPermit: Sendable {
    package let key: TabletKey
    let range: KeyRange
    /// Monotonic nanoseconds; 0 is no permit.
    private let until = Synchronization.Atomic<UInt64>(0)
    /// The newest state that has been applied, for receipts and `min_version`.
    private let appliedTimestamp: Synchronization.Atomic<UInt64>
    /// The time that the core has said; ascends.
    private let toldTime: Synchronization.Atomic<UInt64>
    private let gone = Synchronization.Atomic<Bool>(false)

    package init(key: TabletKey, range: KeyRange, applied: Timestamp) {
        self.key = key
        self.range = range
        appliedTimestamp = Synchronization.Atomic(applied.rawValue)
        toldTime = Synchronization.Atomic(applied.rawValue)
    }

    package func isValid() -> Bool {
        let until = until.load(ordering: .acquiring)
        return until == .max || (until != 0 && SystemClock.monotonic() < until)
    }

    package var applied: Timestamp {
        Timestamp(rawValue: appliedTimestamp.load(ordering: .acquiring))
    }

    /// The tablet's time, as far as it is known here: the state is complete up to it, and nothing is stamped at or below it
    /// any more. Looked at before the state is read.
    package var time: Timestamp {
        max(applied, Timestamp(rawValue: toldTime.load(ordering: .acquiring)))
    }

    /// Whether the core may know of a later time that makes a difference to a person.
    package var isBehind: Bool {
        time.milliseconds + Self.behindMaxMilliseconds < SystemClock.wall()
    }

    private static let behindMaxMilliseconds: UInt64 = 100

    /// Whether the tablet has left this node.
    package var isGone: Bool {
        gone.load(ordering: .acquiring)
    }

    /// Only the shard's thread calls this: the time comes first, so that no thread has the permit without it.
    fileprivate func grant(until end: UInt64, time: Timestamp) {
        toldTime.store(max(time.rawValue, toldTime.load(ordering: .relaxed)), ordering: .releasing)
        until.store(end, ordering: .releasing)
    }

    fileprivate func withdraw() {
        until.store(0, ordering: .releasing)
    }

    fileprivate func noteApplied(_ timestamp: Timestamp) {
        appliedTimestamp.store(timestamp.rawValue, ordering: .releasing)
    }

    fileprivate func leave() {
        withdraw()
        gone.store(true, ordering: .releasing)
    }
}

/// The permits of a node's tablets.
package final class ReadPermits: Sendable {
    /// In the order of their ranges, which do not overlap.
    private let permits = NIOLockedValueBox<[ReadPermit]>([])

    package init() {}

    /// The permit of the tablet that holds a whole range, valid or not.
    package func permit(for range: KeyRange) -> ReadPermit? {
        permits.withLockedValue { permits in
            if permits.count == 1 { return permits[0].range.includes(range) ? permits[0] : nil }
            let next = permits.lowerBound { $0.range.start <= range.start }
            return next > 0 && permits[next - 1].range.includes(range) ? permits[next - 1] : nil
        }
    }

    /// Whether this node may serve consistent reads of some tablet.
    package var isAnyValid: Bool {
        permits.withLockedValue { $0.contains { $0.isValid() } }
    }

    /// - Parameters:
    ///   - time: see `ReadPermit.time`.
    ///   - applied: what has been applied by now.
    package func grant(_ key: TabletKey, _ range: KeyRange, until end: UInt64, time: Timestamp, applied: Timestamp) {
        permits.withLockedValue { permits in
            let place = permits.lowerBound { $0.range.start < range.start }
            if place < permits.count, permits[place].key == key { return permits[place].grant(until: end, time: time) }
            for former in permits where former.range.overlaps(range) { former.withdraw() }
            permits.removeAll { $0.range.overlaps(range) }
            let permit = ReadPermit(key: key, range: range, applied: applied)
            permit.grant(until: end, time: time)
            permits.insert(permit, at: permits.lowerBound { $0.range.start < range.start })
        }
    }

    package func withdraw(_ tablet: TabletID) {
        permits.withLockedValue { permits in
            for permit in permits where permit.key.tablet == tablet { permit.withdraw() }
        }
    }

    func withdrawAll() {
        permits.withLockedValue { for permit in $0 { permit.withdraw() } }
    }

    func noteApplied(_ state: TabletState) {
        permits.withLockedValue { permits in
            permits.first { $0.key.tablet == state.tablet && $0.key.epoch == state.epoch }?
                .noteApplied(state.appliedTimestamp)
        }
    }

    /// The rows of a tablet are about to be dropped.
    func leave(_ config: TabletConfig) {
        permits.withLockedValue { permits in
            for permit in permits where permit.key.tablet == config.tablet && permit.key.epoch <= config.epoch {
                permit.leave()
            }
            permits.removeAll(where: \.isGone)
        }
    }
}
