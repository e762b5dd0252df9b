internal import AtlasTypes

/// `atlas.BatchRequest`.
package struct WireBatchRequest: Hashable, Sendable {
    package var operations: [WireOperation] = []
    package var writeLevel: Atlas_WriteLevel = .unspecified
    package var requestID: WireRequestID = .none
    package var wantReceipt = false

    package init() {}
}

extension WireBatchRequest: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited):
                // An empty operation takes two bytes here and many times as many in memory.
                guard operations.count < BatchLimits.operationsMax else { throw .tooManyOperations }
                operations.append(try reader.element(in: input))
            case (12, .varint): writeLevel = try reader.enumeration(in: input)
            case (13, .lengthDelimited): requestID = try reader.requestID(in: input)
            case (15, .varint): wantReceipt = try reader.bool(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        for operation in operations {
            sink.message(1, present: operation)
        }
        sink.enumeration(12, writeLevel.rawValue)
        sink.requestID(13, requestID)
        sink.bool(15, wantReceipt)
    }
}

/// `atlas.Operation`.
package struct WireOperation: Hashable, Sendable {
    package var type: Atlas_Operation.TypeEnum = .get
    package var key: [UInt8] = []
    package var value: [UInt8] = []
    package var expectedVersion: Int64 = 0
    package var condition: WireCondition?
    /// Milliseconds; 0 is never.
    package var ttl: UInt64 = 0
    package var returnPrevious = false

    package init() {}
}

extension WireOperation: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): type = try reader.enumeration(in: input)
            case (2, .lengthDelimited): key = try reader.bytes(in: input)
            case (3, .lengthDelimited): value = try reader.bytes(in: input)
            case (4, .varint): expectedVersion = try reader.int64(in: input)
            case (10, .lengthDelimited): try reader.message(&condition, in: input)
            case (11, .varint): ttl = try reader.uint64(in: input)
            case (14, .varint): returnPrevious = try reader.bool(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.enumeration(1, type.rawValue)
        sink.bytes(2, key)
        sink.bytes(3, value)
        sink.int64(4, expectedVersion)
        sink.message(10, condition)
        sink.uint64(11, ttl)
        sink.bool(14, returnPrevious)
    }
}

/// `atlas.BatchResponse`.
package struct WireBatchResponse: Hashable, Sendable {
    package var results: [WireOperationResult] = []
    package var success = false
    package var failedIndex: Int32 = 0
    package var version: Int64 = 0
    package var receipt: WireReceipt?

    package init() {}
}

extension WireBatchResponse: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): results.append(try reader.element(in: input))
            case (10, .varint): success = try reader.bool(in: input)
            case (11, .varint): failedIndex = try reader.int32(in: input)
            case (12, .varint): version = try reader.int64(in: input)
            case (13, .lengthDelimited): try reader.message(&receipt, in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        for result in results {
            sink.message(1, present: result)
        }
        sink.bool(10, success)
        sink.int32(11, failedIndex)
        sink.int64(12, version)
        sink.message(13, receipt)
    }
}

/// `atlas.OperationResult`.
package struct WireOperationResult: Hashable, Sendable {
    package var success = false
    package var value: [UInt8] = []
    package var version: Int64 = 0
    package var error = ""
    package var code: Atlas_ResultCode = .ok
    package var currentVersion: Int64 = 0
    package var previous: WirePrevious?
    package var found = false

    package init() {}
}

extension WireOperationResult: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): success = try reader.bool(in: input)
            case (2, .lengthDelimited): value = try reader.bytes(in: input)
            case (3, .varint): version = try reader.int64(in: input)
            case (4, .lengthDelimited): error = try reader.string(in: input)
            case (10, .varint): code = try reader.enumeration(in: input)
            case (11, .varint): currentVersion = try reader.int64(in: input)
            case (12, .lengthDelimited): try reader.message(&previous, in: input)
            case (14, .varint): found = try reader.bool(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.bool(1, success)
        sink.bytes(2, value)
        sink.int64(3, version)
        sink.string(4, error)
        sink.enumeration(10, code.rawValue)
        sink.int64(11, currentVersion)
        sink.message(12, previous)
        sink.bool(14, found)
    }
}
