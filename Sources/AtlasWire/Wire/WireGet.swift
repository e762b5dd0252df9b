/// `atlas.GetRequest`.
package struct WireGetRequest: Hashable, Sendable {
    package var key: [UInt8] = []
    package var consistentRead = false
    package var consistency: Atlas_Consistency = .unspecified
    /// Milliseconds; 0 is any age.
    package var maxStaleness: UInt64 = 0
    package var minVersion: Int64 = 0
    package var atVersion: Int64 = 0
    package var wantReceipt = false

    package init() {}
}

extension WireGetRequest: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): key = try reader.bytes(in: input)
            case (2, .varint): consistentRead = try reader.bool(in: input)
            case (10, .varint): consistency = try reader.enumeration(in: input)
            case (11, .varint): maxStaleness = try reader.uint64(in: input)
            case (12, .varint): minVersion = try reader.int64(in: input)
            case (13, .varint): atVersion = try reader.int64(in: input)
            case (14, .varint): wantReceipt = try reader.bool(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, key)
        sink.bool(2, consistentRead)
        sink.enumeration(10, consistency.rawValue)
        sink.uint64(11, maxStaleness)
        sink.int64(12, minVersion)
        sink.int64(13, atVersion)
        sink.bool(14, wantReceipt)
    }
}

/// `atlas.GetResponse`.
package struct WireGetResponse: Hashable, Sendable {
    package var value: [UInt8] = []
    package var found = false
    package var version: Int64 = 0
    package var receipt: WireReceipt?

    package init() {}
}

extension WireGetResponse: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): value = try reader.bytes(in: input)
            case (2, .varint): found = try reader.bool(in: input)
            case (3, .varint): version = try reader.int64(in: input)
            case (10, .lengthDelimited): try reader.message(&receipt, in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, value)
        sink.bool(2, found)
        sink.int64(3, version)
        sink.message(10, receipt)
    }
}
