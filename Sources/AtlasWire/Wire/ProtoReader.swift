/// A position in an encoded protobuf message.
///
/// The bytes are an argument of every call, as a span cannot be stored in a value. Every length is checked before it is
/// used: malformed input is an error, never a trap. Rules: protobuf.dev/programming-guides/encoding.
struct ProtoReader {
    /// How deep messages and groups may be nested; the message itself is the first level.
    static let depthMax = 100

    /// Offset of the next byte.
    private var position: Int
    /// Offset behind the last byte of the message that is being read; never beyond the span.
    private var end: Int
    private var depth = 1

    init(_ input: RawSpan) {
        position = 0
        end = input.byteCount
    }

    /// The next field of the message, or `nil` behind its last one.
    ///
    /// A tag is a varint of at most 32 bits in at most five bytes; longer encodings of small tags are refused.
    @inline(__always)
    mutating func tag(in input: RawSpan) throws(WireError) -> ProtoTag? {
        guard position < end else { return nil }
        let first = input.byte(at: position)
        if first < 0x80 {
            position &+= 1
            return try ProtoTag(UInt32(first))
        }
        return try longTag(in: input)
    }

    private mutating func longTag(in input: RawSpan) throws(WireError) -> ProtoTag {
        var value: UInt64 = 0
        for index in 0..<5 {
            let byte = try nextByte(in: input)
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            guard byte >= 0x80 else {
                guard let tag = UInt32(exactly: value) else { throw .tagInvalid }
                return try ProtoTag(tag)
            }
        }
        throw .tagInvalid
    }

    /// An unsigned integer. What a tenth byte has above the 64th bit is dropped, as other decoders do.
    @inline(__always)
    mutating func uint64(in input: RawSpan) throws(WireError) -> UInt64 {
        guard position < end else { throw .truncated }
        let first = input.byte(at: position)
        if first < 0x80 {
            position &+= 1
            return UInt64(first)
        }
        return try longVarint(in: input)
    }

    private mutating func longVarint(in input: RawSpan) throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            let byte = try nextByte(in: input)
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 { return value }
        }
        throw .varintTooLong
    }

    @inline(__always)
    mutating func int64(in input: RawSpan) throws(WireError) -> Int64 {
        Int64(bitPattern: try uint64(in: input))
    }

    /// The low half of a varint: a negative `int32` or enum value has ten bytes.
    @inline(__always)
    mutating func int32(in input: RawSpan) throws(WireError) -> Int32 {
        Int32(truncatingIfNeeded: try uint64(in: input))
    }

    @inline(__always)
    mutating func uint32(in input: RawSpan) throws(WireError) -> UInt32 {
        UInt32(truncatingIfNeeded: try uint64(in: input))
    }

    @inline(__always)
    mutating func bool(in input: RawSpan) throws(WireError) -> Bool {
        try uint64(in: input) != 0
    }

    @inline(__always)
    mutating func bytes(in input: RawSpan) throws(WireError) -> [UInt8] {
        let range = try lengthDelimited(in: input)
        guard !range.isEmpty else { return [] }
        return input.extracting(range).withUnsafeBytes { Array($0) }
    }

    mutating func string(in input: RawSpan) throws(WireError) -> String {
        guard let string = String(validating: try bytes(in: input), as: UTF8.self) else { throw .stringInvalid }
        return string
    }

    /// The offsets of a length-delimited field's content.
    @inline(__always)
    mutating func lengthDelimited(in input: RawSpan) throws(WireError) -> Range<Int> {
        let length = try uint64(in: input)
        guard length <= UInt64(end &- position) else { throw .truncated }
        let start = position
        position &+= Int(length)
        return start..<position
    }

    /// Merges a nested message into one that may have fields already.
    @inline(__always)
    mutating func message(_ message: inout some WireMessage, in input: RawSpan) throws(WireError) {
        let content = try lengthDelimited(in: input)
        try descend()
        let outerEnd = end
        position = content.lowerBound
        end = content.upperBound
        try message.merge(input, &self)
        end = outerEnd
        depth &-= 1
    }

    /// One element of a repeated `int32` field, or several if they are packed.
    mutating func repeatedInt32(
        _ values: inout [Int32],
        kind: ProtoTag.Kind,
        in input: RawSpan
    ) throws(WireError) {
        if kind == .varint {
            values.append(try int32(in: input))
            return
        }
        let content = try lengthDelimited(in: input)
        let outerEnd = end
        position = content.lowerBound
        end = content.upperBound
        while position < end {
            values.append(try int32(in: input))
        }
        end = outerEnd
    }

    /// Passes over a field that is not known, or that has another wire type than the one known.
    mutating func skip(_ tag: ProtoTag, in input: RawSpan) throws(WireError) {
        switch tag.kind {
        case .varint: _ = try uint64(in: input)
        case .fixed64: try advance(by: 8)
        case .lengthDelimited: _ = try lengthDelimited(in: input)
        case .groupStart: try skipGroup(tag.field, in: input)
        case .groupEnd: throw .groupMismatched
        case .fixed32: try advance(by: 4)
        }
    }

    private mutating func skipGroup(_ field: UInt32, in input: RawSpan) throws(WireError) {
        try descend()
        while let inner = try tag(in: input) {
            guard inner.kind == .groupEnd else {
                try skip(inner, in: input)
                continue
            }
            guard inner.field == field else { throw .groupMismatched }
            depth &-= 1
            return
        }
        throw .truncated
    }

    private mutating func descend() throws(WireError) {
        guard depth < Self.depthMax else { throw .nestingTooDeep }
        depth &+= 1
    }

    private mutating func advance(by count: Int) throws(WireError) {
        guard count <= end &- position else { throw .truncated }
        position &+= count
    }

    private mutating func nextByte(in input: RawSpan) throws(WireError) -> UInt8 {
        guard position < end else { throw .truncated }
        let byte = input.byte(at: position)
        position &+= 1
        return byte
    }
}

/// What precedes each field: its number and how its content is laid out.
struct ProtoTag {
    enum Kind: UInt32 {
        case varint = 0
        case fixed64 = 1
        case lengthDelimited = 2
        case groupStart = 3
        case groupEnd = 4
        case fixed32 = 5
    }

    let field: UInt32
    let kind: Kind

    @inline(__always)
    init(_ value: UInt32) throws(WireError) {
        guard value >= 8, let kind = Kind(rawValue: value & 7) else { throw .tagInvalid }
        field = value >> 3
        self.kind = kind
    }
}

extension RawSpan {
    /// Checked against the span's bounds, whatever the reader believes.
    @inline(__always)
    fileprivate func byte(at offset: Int) -> UInt8 {
        unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}
