internal import SwiftProtobuf
package import AtlasTypes

/// `atlas.Condition`.
package enum WireCondition: Hashable, Sendable {
    /// None of the kinds that are known here. Not the same as no condition.
    case unknown
    case absent(Bool)
    case exists(Bool)
    case version(Int64)
    case valueEquals([UInt8])
}

extension WireCondition: WireMessage {
    init() {
        self = .unknown
    }

    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): self = .absent(try reader.bool(in: input))
            case (2, .varint): self = .exists(try reader.bool(in: input))
            case (3, .varint): self = .version(try reader.int64(in: input))
            case (4, .lengthDelimited): self = .valueEquals(try reader.bytes(in: input))
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        switch self {
        case .unknown: break
        case .absent(let value): sink.bool(1, present: value)
        case .exists(let value): sink.bool(2, present: value)
        case .version(let version): sink.int64(3, present: version)
        case .valueEquals(let value): sink.bytes(4, present: value)
        }
    }
}

/// The field `request_id`: 16 bytes or none.
package enum WireRequestID: Hashable, Sendable {
    case none
    case id(RequestID)
    /// A length other than 0 or 16; decoded only, so that the service can refuse the one call.
    case malformed(length: Int)

    /// What a client sends.
    package init(_ id: RequestID) {
        self = id.isNone ? .none : .id(id)
    }
}

extension ProtoReader {
    mutating func requestID(in input: RawSpan) throws(WireError) -> WireRequestID {
        let range = try lengthDelimited(in: input)
        guard range.count == 16 else { return range.isEmpty ? .none : .malformed(length: range.count) }
        let high = input.unsafeLoadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self)
        let low = input.unsafeLoadUnaligned(fromByteOffset: range.lowerBound + 8, as: UInt64.self)
        return .id(RequestID(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low)))
    }
}

extension ProtoSink where Self: ~Copyable & ~Escapable {
    @inline(__always)
    mutating func requestID(_ field: UInt32, _ id: WireRequestID) {
        switch id {
        case .none: break
        case .id(let id): bytes(field, id.high, id.low)
        case .malformed: preconditionFailure("a malformed request id is never sent")
        }
    }
}

/// `atlas.Previous`: what a key held before a write.
package struct WirePrevious: Hashable, Sendable {
    package var value: [UInt8] = []
    package var version: Int64 = 0

    package init() {}

    package init(value: [UInt8], version: Int64) {
        self.value = value
        self.version = version
    }
}

extension WirePrevious: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): value = try reader.bytes(in: input)
            case (2, .varint): version = try reader.int64(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, value)
        sink.int64(2, version)
    }
}

extension ProtoReader {
    /// A value that is not known is kept as it is, for the service to refuse.
    @inline(__always)
    mutating func enumeration<Value: Enum>(in input: RawSpan) throws(WireError) -> Value where Value.RawValue == Int {
        let number = Int(try int32(in: input))
        guard let value = Value(rawValue: number) else { preconditionFailure("proto3 enums are open") }
        return value
    }

    /// One element of a repeated message field.
    @inline(__always)
    mutating func element<Message: WireMessage>(in input: RawSpan) throws(WireError) -> Message {
        var value = Message()
        try message(&value, in: input)
        return value
    }

    /// Merges a nested message into a field that may be unset.
    mutating func message<Message: WireMessage>(
        _ field: inout Message?,
        in input: RawSpan
    ) throws(WireError) {
        var value = field ?? Message()
        try message(&value, in: input)
        field = value
    }
}
