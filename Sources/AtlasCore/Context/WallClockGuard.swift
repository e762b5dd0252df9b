internal import AtlasTypes

/// What a node believes of its wall clock. A stamp that has been given out is never taken back, so a clock that is far
/// ahead for seconds would be felt for as long as it was ahead.
///
/// A clock that differs from those of a majority of the nodes is not believed: the node goes by theirs. Where no majority
/// agrees, on a single node or behind a cut, a step forward is believed once it has stood for `stepPatience`; until then time
/// goes on from before it, by the monotonic clock.
package struct WallClockGuard: Sendable {
    /// A wall clock by its distance from this node's monotonic one, in milliseconds: it changes only where the clock steps.
    typealias Epoch = Int64

    private enum Trust: Equatable, Sendable {
        case own
        /// A majority of the nodes agrees on another time.
        case majority(Epoch)
        /// The own clock has stepped forward, at a monotonic time in nanoseconds, and no majority is known to agree.
        case held(Epoch, since: UInt64)
    }

    private var trust = Trust.own
    /// As the machine showed it last; `nil` before the first reading.
    private var own: Epoch?
    /// The own clock as it was judged last.
    private var judged: Epoch = 0
    /// Those of the other nodes that are heard.
    private var others: [Epoch] = []
    private var nodeCount = 1
    /// Until then a node that has just started waits for the clocks of a majority; monotonic nanoseconds.
    private var unverifiedUntil: UInt64?

    /// Clocks that differ by more than this, in milliseconds, do not agree. Smaller steps are taken for the corrections that
    /// clocks get all the time.
    package static let stepMax = HybridClock.offsetMaxMilliseconds
    /// How long a step forward must stand before it is believed without a majority, in nanoseconds.
    package static let stepPatience: UInt64 = 10_000 * ConsensusSettings.millisecond
    /// How long a node that starts waits for the clocks of others, in nanoseconds.
    package static let startPatience: UInt64 = 2_000 * ConsensusSettings.millisecond
    /// Steps below this, in milliseconds, are not worth a judgement.
    private static let jitter: Epoch = 20

    /// - Parameter waitsForOthers: whether the clock must not count before it has been compared with a majority's, or
    ///   `startPatience` is over.
    package init(waitsForOthers: Bool = false) {
        unverifiedUntil = waitsForOthers ? .max : nil
    }

    /// Whether the wall clock is not believed at present.
    package var isDistrusted: Bool {
        trust != .own
    }

    /// Whether nothing is known of the clock yet: nothing may be stamped with it.
    package var isUnverified: Bool {
        unverifiedUntil != nil
    }

    /// The present as far as it is believed.
    /// - Parameter now: what the machine's clocks say.
    mutating func read(_ now: Instant) -> Instant {
        let shown = Self.epoch(of: now)
        if own == nil {
            judged = shown
            if isUnverified { unverifiedUntil = now.monotonic.addingReportingOverflow(Self.startPatience).partialValue }
        }
        own = shown
        if trust != .own || isUnverified || abs(shown - judged) > Self.jitter { judge(at: now.monotonic) }
        let believed =
            switch trust {
            case .own: shown
            case .majority(let epoch), .held(let epoch, _): epoch
            }
        return Instant(monotonic: now.monotonic, wall: Self.wall(of: believed, at: now.monotonic))
    }

    /// Takes note of the other nodes' clocks.
    /// - Parameters:
    ///   - others: of the nodes that are heard.
    ///   - nodeCount: of the cluster, this one included.
    mutating func compare(_ others: [Epoch], nodeCount: Int, at monotonic: UInt64) {
        self.others = others
        self.nodeCount = nodeCount
        judge(at: monotonic)
    }

    private mutating func judge(at monotonic: UInt64) {
        guard let own else { return }
        defer { judged = own }
        // A clock that has been off must come nearer than one that is believed, or it would be in and out all the time.
        let isOff = if case .majority = trust { true } else { false }
        let tolerance = Epoch(isOff ? Self.stepMax / 2 : Self.stepMax)
        if isMajority(1 + others.count { abs($0 - own) <= tolerance }) {
            trust = .own
            unverifiedUntil = nil
        } else if let epoch = agreedByOthers() {
            trust = .majority(epoch)
            unverifiedUntil = nil
        } else {
            judgeAlone(own, at: monotonic)
        }
    }

    private mutating func judgeAlone(_ own: Epoch, at monotonic: UInt64) {
        if let until = unverifiedUntil, until <= monotonic { unverifiedUntil = nil }
        let (epoch, since) =
            switch trust {
            case .own: (judged, monotonic)
            case .majority(let epoch): (epoch, monotonic)
            case .held(let epoch, let since): (epoch, since)
            }
        let isOver = monotonic >= since.addingReportingOverflow(Self.stepPatience).partialValue
        trust = own - epoch <= Epoch(Self.stepMax) || isOver ? .own : .held(epoch, since: since)
    }

    /// A node alone is no majority: no other clock confirms its own.
    private func isMajority(_ count: Int) -> Bool {
        count > 1 && count > nodeCount / 2
    }

    /// The time on which other nodes agree that are a majority by themselves.
    private func agreedByOthers() -> Epoch? {
        for epoch in others.sorted() {
            // From the lowest clock of those that agree, the middle one.
            let near = others.filter { $0 >= epoch && $0 - epoch <= Epoch(Self.stepMax) }.sorted()
            if isMajority(near.count) { return near[near.count / 2] }
        }
        return nil
    }

    /// - Parameter reading: of both clocks at about the same time.
    static func epoch(of reading: Instant) -> Epoch {
        Epoch(min(reading.wall, Timestamp.millisecondsMax)) - Epoch(reading.monotonic / ConsensusSettings.millisecond)
    }

    private static func wall(of epoch: Epoch, at monotonic: UInt64) -> UInt64 {
        UInt64(max(0, epoch + Epoch(monotonic / ConsensusSettings.millisecond)))
    }
}
