/// `atlas.ScanRequest`.
package struct WireScanRequest: Hashable, Sendable {
    package var startKey: [UInt8] = []
    package var endKey: [UInt8] = []
    package var limit: Int32 = 0
    package var reverse = false
    package var consistency: Atlas_Consistency = .unspecified
    /// Milliseconds; 0 is any age.
    package var maxStaleness: UInt64 = 0
    package var minVersion: Int64 = 0
    package var atVersion: Int64 = 0
    package var wantReceipt = false
    package var prefix: [UInt8] = []
    package var keysOnly = false
    package var itemsPerMessage: UInt32 = 0

    package init() {}
}

extension WireScanRequest: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): startKey = try reader.bytes(in: input)
            case (2, .lengthDelimited): endKey = try reader.bytes(in: input)
            case (3, .varint): limit = try reader.int32(in: input)
            case (4, .varint): reverse = try reader.bool(in: input)
            case (10, .varint): consistency = try reader.enumeration(in: input)
            case (11, .varint): maxStaleness = try reader.uint64(in: input)
            case (12, .varint): minVersion = try reader.int64(in: input)
            case (13, .varint): atVersion = try reader.int64(in: input)
            case (14, .varint): wantReceipt = try reader.bool(in: input)
            case (15, .lengthDelimited): prefix = try reader.bytes(in: input)
            case (16, .varint): keysOnly = try reader.bool(in: input)
            case (17, .varint): itemsPerMessage = try reader.uint32(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, startKey)
        sink.bytes(2, endKey)
        sink.int32(3, limit)
        sink.bool(4, reverse)
        sink.enumeration(10, consistency.rawValue)
        sink.uint64(11, maxStaleness)
        sink.int64(12, minVersion)
        sink.int64(13, atVersion)
        sink.bool(14, wantReceipt)
        sink.bytes(15, prefix)
        sink.bool(16, keysOnly)
        sink.uint64(17, UInt64(itemsPerMessage))
    }
}

/// `atlas.ScanResponse`.
package struct WireScanResponse: Hashable, Sendable {
    package var key: [UInt8] = []
    package var value: [UInt8] = []
    package var version: Int64 = 0
    package var snapshotVersion: Int64 = 0
    package var items: [WireScanItem] = []
    package var receipt: WireReceipt?

    package init() {}
}

extension WireScanResponse: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): key = try reader.bytes(in: input)
            case (2, .lengthDelimited): value = try reader.bytes(in: input)
            case (3, .varint): version = try reader.int64(in: input)
            case (10, .varint): snapshotVersion = try reader.int64(in: input)
            case (11, .lengthDelimited): items.append(try reader.element(in: input))
            case (12, .lengthDelimited): try reader.message(&receipt, in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, key)
        sink.bytes(2, value)
        sink.int64(3, version)
        sink.int64(10, snapshotVersion)
        for item in items {
            sink.message(11, present: item)
        }
        sink.message(12, receipt)
    }
}

/// `atlas.ScanItem`.
package struct WireScanItem: Hashable, Sendable {
    package var key: [UInt8] = []
    package var value: [UInt8] = []
    package var version: Int64 = 0

    package init() {}

    package init(key: [UInt8], value: [UInt8], version: Int64) {
        self.key = key
        self.value = value
        self.version = version
    }
}

extension WireScanItem: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): key = try reader.bytes(in: input)
            case (2, .lengthDelimited): value = try reader.bytes(in: input)
            case (3, .varint): version = try reader.int64(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bytes(1, key)
        sink.bytes(2, value)
        sink.int64(3, version)
    }
}
