/// What the fields of a message are written to: `ProtoSizer` counts bytes, `OutputRawSpan` takes them. One description
/// of a message's fields serves both, so that a length prefix can never disagree with what follows it.
///
/// As proto3 has it, fields that have their default are left out, except in a `oneof` (`present:`).
protocol ProtoSink: ~Copyable, ~Escapable {
    mutating func varint(_ value: UInt64)
    mutating func raw(_ bytes: [UInt8])
    mutating func raw(_ string: String)
    mutating func bigEndian(_ high: UInt64, _ low: UInt64)
}

/// Counts bytes.
struct ProtoSizer: ProtoSink {
    private(set) var count = 0

    @inline(__always)
    static func size(of message: borrowing some WireMessage) -> Int {
        var sizer = ProtoSizer()
        message.fields(to: &sizer)
        return sizer.count
    }

    @inline(__always)
    mutating func varint(_ value: UInt64) {
        count &+= varintSize(value)
    }

    @inline(__always)
    mutating func raw(_ bytes: [UInt8]) {
        count &+= bytes.count
    }

    mutating func raw(_ string: String) {
        count &+= string.utf8.count
    }

    @inline(__always)
    mutating func bigEndian(_ high: UInt64, _ low: UInt64) {
        count &+= 16
    }
}

/// Bytes of a varint: one for each seven bits, at least one.
@inline(__always)
private func varintSize(_ value: UInt64) -> Int {
    let bits = 64 &- (value | 1).leadingZeroBitCount
    return (bits &+ 6) / 7
}

extension OutputRawSpan: ProtoSink {
    @inline(__always)
    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    mutating func raw(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { copy($0) }
    }

    mutating func raw(_ string: String) {
        var string = string
        string.withUTF8 { copy(UnsafeRawBufferPointer($0)) }
    }

    @inline(__always)
    mutating func bigEndian(_ high: UInt64, _ low: UInt64) {
        append(high.bigEndian, as: UInt64.self)
        append(low.bigEndian, as: UInt64.self)
    }

    @inline(__always)
    private mutating func copy(_ source: UnsafeRawBufferPointer) {
        guard let base = source.baseAddress, source.count > 0 else { return }
        precondition(source.count <= freeCapacity, "the size of a message was computed wrongly")
        withUnsafeMutableBytes { target, initializedCount in
            (target.baseAddress! + initializedCount).copyMemory(from: base, byteCount: source.count)
            initializedCount += source.count
        }
    }
}

extension ProtoSink where Self: ~Copyable & ~Escapable {
    @inline(__always)
    private mutating func tag(_ field: UInt32, _ kind: ProtoTag.Kind) {
        varint(UInt64(field << 3 | kind.rawValue))
    }

    @inline(__always)
    mutating func uint64(_ field: UInt32, _ value: UInt64) {
        if value != 0 { uint64(field, present: value) }
    }

    @inline(__always)
    mutating func uint64(_ field: UInt32, present value: UInt64) {
        tag(field, .varint)
        varint(value)
    }

    @inline(__always)
    mutating func int64(_ field: UInt32, _ value: Int64) {
        uint64(field, UInt64(bitPattern: value))
    }

    @inline(__always)
    mutating func int64(_ field: UInt32, present value: Int64) {
        uint64(field, present: UInt64(bitPattern: value))
    }

    /// Also of enums. A negative value is extended to 64 bits.
    @inline(__always)
    mutating func int32(_ field: UInt32, _ value: Int32) {
        int64(field, Int64(value))
    }

    @inline(__always)
    mutating func enumeration(_ field: UInt32, _ value: Int) {
        int64(field, Int64(value))
    }

    @inline(__always)
    mutating func bool(_ field: UInt32, _ value: Bool) {
        if value { bool(field, present: true) }
    }

    @inline(__always)
    mutating func bool(_ field: UInt32, present value: Bool) {
        uint64(field, present: value ? 1 : 0)
    }

    @inline(__always)
    mutating func bytes(_ field: UInt32, _ value: [UInt8]) {
        if !value.isEmpty { bytes(field, present: value) }
    }

    @inline(__always)
    mutating func bytes(_ field: UInt32, present value: [UInt8]) {
        tag(field, .lengthDelimited)
        varint(UInt64(value.count))
        raw(value)
    }

    /// Sixteen bytes, highest first.
    @inline(__always)
    mutating func bytes(_ field: UInt32, _ high: UInt64, _ low: UInt64) {
        tag(field, .lengthDelimited)
        varint(16)
        bigEndian(high, low)
    }

    @inline(__always)
    mutating func string(_ field: UInt32, _ value: String) {
        guard !value.isEmpty else { return }
        tag(field, .lengthDelimited)
        varint(UInt64(value.utf8.count))
        raw(value)
    }

    @inline(__always)
    mutating func packedInt32(_ field: UInt32, _ values: [Int32]) {
        guard !values.isEmpty else { return }
        tag(field, .lengthDelimited)
        varint(values.reduce(into: 0) { $0 += UInt64(varintSize(UInt64(bitPattern: Int64($1)))) })
        for value in values {
            varint(UInt64(bitPattern: Int64(value)))
        }
    }

    @inline(__always)
    mutating func message<Message: WireMessage>(_ field: UInt32, _ message: Message?) {
        if let message { self.message(field, present: message) }
    }

    @inline(__always)
    mutating func message(_ field: UInt32, present message: borrowing some WireMessage) {
        tag(field, .lengthDelimited)
        varint(UInt64(ProtoSizer.size(of: message)))
        message.fields(to: &self)
    }
}
