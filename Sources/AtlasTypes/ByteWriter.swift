/// Writes the compact binary form of log records and peer messages: unsigned LEB128 integers, length-prefixed bytes.
package struct ByteWriter: Sendable {
    @usableFromInline var written: [UInt8] = []

    @inlinable
    package init(capacity: Int = 0) {
        written.reserveCapacity(capacity)
    }

    @inlinable
    package var bytes: [UInt8] { written }

    @inlinable
    package mutating func write(byte: UInt8) {
        written.append(byte)
    }

    @inlinable
    package mutating func write(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            written.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        written.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Eight bytes, for values whose high bits are set as often as not.
    @inlinable
    package mutating func write(fixed value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { written.append(contentsOf: $0) }
    }

    @inlinable
    package mutating func write(_ value: [UInt8]) {
        write(UInt64(value.count))
        written.append(contentsOf: value)
    }

    @inlinable
    package mutating func write(_ value: Bool) {
        written.append(value ? 1 : 0)
    }
}
