internal import SwiftProtobuf

/// `atlas.SessionCall`: one call of a session, or a word about one.
package struct WireSessionCall: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        case get(WireGetRequest)
        case put(WirePutRequest)
        case delete(WireDeleteRequest)
        case scan(WireScanRequest)
        case batch(WireBatchRequest)
        case cancel
        /// Further messages that the scan may send.
        case credit(UInt32)
    }

    package var id: UInt64 = 0
    /// `nil`: none of the kinds that are known here.
    package var body: Body?
    /// Milliseconds; 0 is the stream's deadline.
    package var timeout: UInt64 = 0

    package init() {}

    package init(id: UInt64, _ body: Body, timeout: UInt64 = 0) {
        self.id = id
        self.body = body
        self.timeout = timeout
    }
}

extension WireSessionCall: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): id = try reader.uint64(in: input)
            case (2...8, .lengthDelimited): try mergeBody(tag.field, input, &reader)
            case (9, .varint): timeout = try reader.uint64(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    /// The last kind wins; two of the same kind are merged.
    private mutating func mergeBody(_ field: UInt32, _ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        switch field {
        case 2:
            var request = if case .get(let request) = body { request } else { WireGetRequest() }
            try reader.message(&request, in: input)
            body = .get(request)
        case 3:
            var request = if case .put(let request) = body { request } else { WirePutRequest() }
            try reader.message(&request, in: input)
            body = .put(request)
        case 4:
            var request = if case .delete(let request) = body { request } else { WireDeleteRequest() }
            try reader.message(&request, in: input)
            body = .delete(request)
        case 5:
            var request = if case .scan(let request) = body { request } else { WireScanRequest() }
            try reader.message(&request, in: input)
            body = .scan(request)
        case 6:
            var request = if case .batch(let request) = body { request } else { WireBatchRequest() }
            try reader.message(&request, in: input)
            body = .batch(request)
        case 7:
            var cancel = WireSessionCancel()
            try reader.message(&cancel, in: input)
            body = .cancel
        default:
            var credit = WireSessionCredit()
            if case .credit(let messages) = body { credit.messages = messages }
            try reader.message(&credit, in: input)
            body = .credit(credit.messages)
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.uint64(1, id)
        switch body {
        case .get(let request): sink.message(2, present: request)
        case .put(let request): sink.message(3, present: request)
        case .delete(let request): sink.message(4, present: request)
        case .scan(let request): sink.message(5, present: request)
        case .batch(let request): sink.message(6, present: request)
        case .cancel: sink.message(7, present: WireSessionCancel())
        case .credit(let messages): sink.message(8, present: WireSessionCredit(messages: messages))
        case nil: break
        }
        sink.uint64(9, timeout)
    }
}

/// `atlas.SessionCancel`.
private struct WireSessionCancel: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            try reader.skip(tag, in: input)
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {}
}

/// `atlas.SessionCredit`.
private struct WireSessionCredit: WireMessage {
    var messages: UInt32 = 0

    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): messages = try reader.uint32(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.uint64(1, UInt64(messages))
    }
}

/// `atlas.SessionAnswer`.
package struct WireSessionAnswer: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        case get(WireGetResponse)
        case put(WirePutResponse)
        case delete(WireDeleteResponse)
        case scan(WireScanResponse)
        case batch(WireBatchResponse)
        case scanEnd(WireSessionScanEnd)
        /// Indirect, because errors are rare and their details large.
        indirect case error(WireSessionError)
    }

    package var id: UInt64 = 0
    /// `nil`: none of the kinds that are known here.
    package var body: Body?

    package init() {}

    package init(id: UInt64, _ body: Body) {
        self.id = id
        self.body = body
    }
}

extension WireSessionAnswer: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): id = try reader.uint64(in: input)
            case (2...8, .lengthDelimited): try mergeBody(tag.field, input, &reader)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    /// The last kind wins; two of the same kind are merged.
    private mutating func mergeBody(_ field: UInt32, _ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        switch field {
        case 2:
            var response = if case .get(let response) = body { response } else { WireGetResponse() }
            try reader.message(&response, in: input)
            body = .get(response)
        case 3:
            var response = if case .put(let response) = body { response } else { WirePutResponse() }
            try reader.message(&response, in: input)
            body = .put(response)
        case 4:
            var response = if case .delete(let response) = body { response } else { WireDeleteResponse() }
            try reader.message(&response, in: input)
            body = .delete(response)
        case 5:
            var response = if case .scan(let response) = body { response } else { WireScanResponse() }
            try reader.message(&response, in: input)
            body = .scan(response)
        case 6:
            var response = if case .batch(let response) = body { response } else { WireBatchResponse() }
            try reader.message(&response, in: input)
            body = .batch(response)
        case 7:
            var end = if case .scanEnd(let end) = body { end } else { WireSessionScanEnd() }
            try reader.message(&end, in: input)
            body = .scanEnd(end)
        default:
            var error = if case .error(let error) = body { error } else { WireSessionError() }
            try reader.message(&error, in: input)
            body = .error(error)
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.uint64(1, id)
        switch body {
        case .get(let response): sink.message(2, present: response)
        case .put(let response): sink.message(3, present: response)
        case .delete(let response): sink.message(4, present: response)
        case .scan(let response): sink.message(5, present: response)
        case .batch(let response): sink.message(6, present: response)
        case .scanEnd(let end): sink.message(7, present: end)
        case .error(let error): sink.message(8, present: error)
        case nil: break
        }
    }
}

/// `atlas.SessionScanEnd`.
package struct WireSessionScanEnd: Hashable, Sendable {
    package var snapshotVersion: Int64 = 0
    package var items: UInt64 = 0

    package init() {}

    package init(snapshotVersion: Int64, items: UInt64) {
        self.snapshotVersion = snapshotVersion
        self.items = items
    }
}

extension WireSessionScanEnd: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): snapshotVersion = try reader.int64(in: input)
            case (2, .varint): items = try reader.uint64(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.int64(1, snapshotVersion)
        sink.uint64(2, items)
    }
}

/// `atlas.SessionError`. Errors are rare, so the detail is a generated message.
package struct WireSessionError: Hashable, Sendable {
    /// A gRPC status code.
    package var status: Int32 = 0
    package var detail: Atlas_ErrorDetail?

    package init() {}

    package init(status: Int32, detail: Atlas_ErrorDetail) {
        self.status = status
        self.detail = detail
    }
}

extension WireSessionError: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): status = try reader.int32(in: input)
            case (2, .lengthDelimited): try mergeDetail(try reader.bytes(in: input))
            default: try reader.skip(tag, in: input)
            }
        }
    }

    private mutating func mergeDetail(_ bytes: [UInt8]) throws(WireError) {
        do {
            var merged = detail ?? Atlas_ErrorDetail()
            var options = BinaryDecodingOptions()
            options.discardUnknownFields = true
            try merged.merge(serializedBytes: bytes, options: options)
            detail = merged
        } catch {
            throw .errorDetailInvalid
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.int32(1, status)
        guard let detail else { return }
        guard let bytes: [UInt8] = try? detail.serializedBytes() else {
            preconditionFailure("a message without required fields can always be encoded")
        }
        sink.bytes(2, present: bytes)
    }
}
