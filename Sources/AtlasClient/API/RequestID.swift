internal import Glibc
internal import AtlasTypes

/// Names a write, so that a retry takes effect once: a UUIDv7 (RFC 9562), which carries the time at which it was made.
/// A retry is recognised for as long as the server keeps history (`storage.history_ttl`); an older id is refused.
///
/// Clients make one for each write themselves and use it for their own retries. Make one yourself to repeat a write
/// after a failure, or from another process:
///
/// ```swift
/// var options = PutOptions()
/// options.requestID = RequestID()
/// ```
public struct RequestID: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    /// A new one.
    public init() {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let milliseconds = Instant.wall(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
        var generator = SystemRandomNumberGenerator()
        let id = AtlasTypes.RequestID(milliseconds: milliseconds, random: (generator.next(), generator.next()))
        (high, low) = (id.high, id.low)
    }

    /// The 16 bytes of a UUID.
    /// - Returns: `nil` for another number of bytes, or another UUID than one of version 7.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        let words = bytes.withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64).self) }
        let id = AtlasTypes.RequestID(high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1))
        guard id.isWellFormed else { return nil }
        (high, low) = (id.high, id.low)
    }

    /// The 16 bytes of the UUID.
    public var bytes: [UInt8] {
        [high.bigEndian, low.bigEndian].withUnsafeBytes { Array($0) }
    }

    var wire: AtlasTypes.RequestID {
        AtlasTypes.RequestID(high: high, low: low)
    }
}

extension RequestID: CustomStringConvertible, LosslessStringConvertible {
    /// The usual form of a UUID: 32 hexadecimal digits, with hyphens or without.
    public init?(_ text: String) {
        let digits = String(decoding: text.utf8.filter { $0 != UInt8(ascii: "-") }, as: UTF8.self)
        guard let bytes = Hex.bytes(digits) else { return nil }
        self.init(bytes: bytes)
    }

    /// The usual form of a UUID: 8-4-4-4-12 lower case hexadecimal digits.
    public var description: String {
        wire.description
    }
}
