internal import AtlasTypes

/// A machine's clocks, as functions of the virtual time: they drift, and are off.
struct SimulatedClock {
    /// Thousandths of a thousandth, such as 1_005_000 for half a percent too fast.
    private let rate: UInt64
    private var began: UInt64
    private var base: UInt64
    /// Milliseconds that the wall clock is ahead, which it may be by a negative number.
    var wallOffset: Int64

    private static let unit: UInt64 = 1_000_000
    /// The wall clock at virtual time zero, in milliseconds since 1970.
    static let epochMilliseconds: UInt64 = 1_700_000_000_000

    init(driftPermille: Int, offsetMax: UInt64, random: inout Random) {
        let drift = UInt64(driftPermille) * 1_000
        rate = Self.unit - drift + random.between(0, 2 * drift)
        began = 0
        base = random.between(1_000_000_000, 1_000_000_000_000)
        wallOffset = Int64(random.between(0, offsetMax)) - Int64(offsetMax / 2)
    }

    /// The monotonic clock begins anew with the machine.
    mutating func reboot(at time: UInt64, random: inout Random) {
        began = time
        base = random.between(1_000_000_000, 1_000_000_000_000)
    }

    func reading(at time: UInt64) -> Instant {
        let elapsed = time - began
        // In two parts, so that nothing overflows in a long run.
        let scaled = elapsed / Self.unit * rate + elapsed % Self.unit * rate / Self.unit
        let wall = Int64(Self.epochMilliseconds + time / 1_000_000) + wallOffset
        return Instant(monotonic: base + scaled, wall: UInt64(max(1, wall)))
    }

    /// The first virtual time at which the monotonic clock shows at least `monotonic`.
    func time(of monotonic: UInt64) -> UInt64 {
        guard monotonic > base else { return began }
        let scaled = monotonic - base
        return began + scaled / rate * Self.unit + scaled % rate * Self.unit / rate + 1
    }
}
