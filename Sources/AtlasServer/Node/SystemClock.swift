package import AtlasCore
internal import Glibc

/// The machine's clocks, read where the shell calls the core.
package enum SystemClock {
    /// The monotonic clock runs during suspend too, as leases need it.
    package static func now() -> Instant {
        Instant(monotonic: monotonic(), wall: wall())
    }

    /// Nanoseconds; differences alone mean something.
    package static func monotonic() -> UInt64 {
        read(CLOCK_BOOTTIME)
    }

    /// Milliseconds since 1970.
    package static func wall() -> UInt64 {
        read(CLOCK_REALTIME) / 1_000_000
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        let result = clock_gettime(clock, &time)
        precondition(result == 0, "the clock exists")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
