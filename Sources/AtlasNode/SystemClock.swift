internal import Glibc
package import AtlasTypes

/// The machine's clocks, read where the shell calls the core.
package enum SystemClock {
    /// The monotonic clock runs during suspend too, as leases need it.
    package static func now() -> Instant {
        Instant(monotonic: monotonic(), wall: wall())
    }

    /// Nanoseconds; differences alone mean something.
    package static func monotonic() -> UInt64 {
        let time = read(CLOCK_BOOTTIME)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Milliseconds since 1970.
    package static func wall() -> UInt64 {
        let time = read(CLOCK_REALTIME)
        return Instant.wall(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        let result = clock_gettime(clock, &time)
        precondition(result == 0, "the clock exists")
        return time
    }
}
