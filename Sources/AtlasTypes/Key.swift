/// A user key: a non-empty sequence of bytes, ordered as unsigned bytes from left to right.
public struct Key: Hashable, Sendable {
    public var bytes: [UInt8]

    @inlinable
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The smallest key that is greater than this one: the same bytes and a zero.
    @inlinable
    public var successor: Key {
        Key(bytes + [0])
    }

    @inlinable
    public static func == (left: Key, right: Key) -> Bool {
        left.bytes == right.bytes
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension Key: Comparable {
    @inlinable
    public static func < (left: Key, right: Key) -> Bool {
        left.bytes.withUnsafeBytes { left in
            right.bytes.withUnsafeBytes { right in
                compareBytes(left, right) < 0
            }
        }
    }
}

extension Key: CustomStringConvertible {
    public var description: String {
        String(decoding: bytes, as: UTF8.self)
    }
}

/// Compares two byte strings as unsigned bytes, eight at a time: negative, zero or positive, as `memcmp` does, with a
/// prefix before anything it is a prefix of.
@inlinable
public func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    var offset = 0
    while offset &+ 8 <= common {
        let a = UInt64(bigEndian: left.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let b = UInt64(bigEndian: right.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        if a != b { return a < b ? -1 : 1 }
        offset &+= 8
    }
    while offset < common {
        let a = left[offset]
        let b = right[offset]
        if a != b { return a < b ? -1 : 1 }
        offset &+= 1
    }
    return left.count - right.count
}
