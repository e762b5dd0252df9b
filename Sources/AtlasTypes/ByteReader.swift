/// Bytes that do not have the form that was expected. They come from a disk or a peer, so this is never a trap.
package enum CodecError: Error, Hashable, Sendable {
    case truncated
    case varintTooLong
    case unknownTag(UInt8)
    case trailingBytes
    case invalid(String)
}

/// Reads what `ByteWriter` wrote. Every length is checked before it is used.
package struct ByteReader: Sendable {
    @usableFromInline let bytes: [UInt8]
    @usableFromInline var offset: Int
    @usableFromInline let end: Int

    @inlinable
    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    @inlinable
    package var remaining: Int {
        end - offset
    }

    @inlinable
    package mutating func readByte() throws(CodecError) -> UInt8 {
        guard offset < end else { throw .truncated }
        defer { offset += 1 }
        return bytes[offset]
    }

    @inlinable
    package mutating func readUInt64() throws(CodecError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try readByte()
            guard shift < 63 || byte <= 1 else { throw .varintTooLong }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    @inlinable
    package mutating func readUInt32() throws(CodecError) -> UInt32 {
        guard let value = UInt32(exactly: try readUInt64()) else { throw .invalid("a 32-bit number is too large") }
        return value
    }

    @inlinable
    package mutating func readFixed() throws(CodecError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated }
        defer { offset += 8 }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }

    @inlinable
    package mutating func readBytes() throws(CodecError) -> [UInt8] {
        let count = try readUInt64()
        guard count <= UInt64(remaining) else { throw .truncated }
        defer { offset += Int(count) }
        return Array(bytes[offset..<(offset + Int(count))])
    }

    @inlinable
    package mutating func readBool() throws(CodecError) -> Bool {
        switch try readByte() {
        case 0: false
        case 1: true
        case let byte: throw .unknownTag(byte)
        }
    }

    /// The number of elements that follow. A count of more than the remaining bytes can hold is refused.
    /// - Parameters:
    ///   - sizeMin: the bytes that an element takes at least.
    ///   - max: no writer writes more.
    @inlinable
    package mutating func readCount(of sizeMin: Int = 1, max: Int = .max) throws(CodecError) -> Int {
        let count = try readUInt64()
        guard count <= UInt64(remaining / sizeMin) else { throw .truncated }
        guard count <= UInt64(max) else { throw .invalid("\(count) elements, \(max) at most") }
        return Int(count)
    }

    @inlinable
    package func expectEnd() throws(CodecError) {
        guard remaining == 0 else { throw .trailingBytes }
    }
}
