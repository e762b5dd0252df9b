/// `atlas.PutRequest`.
package struct WirePutRequest: Hashable, Sendable {
    package var key: [UInt8] = []
    package var value: [UInt8] = []
    package var expectedVersion: Int64 = 0
    package var condition: WireCondition?
    /// Milliseconds; 0 is never.
    package var ttl: UInt64 = 0
    package var writeLevel: Atlas_WriteLevel = .unspecified
    package var requestID: WireRequestID = .none
    package var returnPrevious = false
    package var wantReceipt = false

    package init() {}
}

extension WirePutRequest: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): key = try reader.bytes(in: input)
            case (2, .lengthDelimited): value = try reader.bytes(in: input)
            case (3, .varint): expectedVersion = try reader.int64(in: input)
            case (10, .lengthDelimited): try reader.message(&condition, in: input)
            case (11, .varint): ttl = try reader.uint64(in: input)
            case (12, .varint): writeLevel = try reader.enumeration(in: input)
            case (13, .lengthDelimited): requestID = try reader.requestID(in: input)
            case (14, .varint): returnPrevious = try reader.bool(in: input)
            case (15, .varint): wantReceipt = try reader.bool(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, key)
        sink.bytes(2, value)
        sink.int64(3, expectedVersion)
        sink.message(10, condition)
        sink.uint64(11, ttl)
        sink.enumeration(12, writeLevel.rawValue)
        sink.requestID(13, requestID)
        sink.bool(14, returnPrevious)
        sink.bool(15, wantReceipt)
    }
}

/// `atlas.PutResponse`.
package struct WirePutResponse: Hashable, Sendable {
    package var success = false
    package var version: Int64 = 0
    package var error = ""
    package var code: Atlas_ResultCode = .ok
    package var currentVersion: Int64 = 0
    package var previous: WirePrevious?
    package var receipt: WireReceipt?

    package init() {}
}

extension WirePutResponse: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): success = try reader.bool(in: input)
            case (2, .varint): version = try reader.int64(in: input)
            case (3, .lengthDelimited): error = try reader.string(in: input)
            case (10, .varint): code = try reader.enumeration(in: input)
            case (11, .varint): currentVersion = try reader.int64(in: input)
            case (12, .lengthDelimited): try reader.message(&previous, in: input)
            case (13, .lengthDelimited): try reader.message(&receipt, in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bool(1, success)
        sink.int64(2, version)
        sink.string(3, error)
        sink.enumeration(10, code.rawValue)
        sink.int64(11, currentVersion)
        sink.message(12, previous)
        sink.message(13, receipt)
    }
}
