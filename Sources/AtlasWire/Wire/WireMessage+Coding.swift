package import NIOCore

// What other modules call. One concrete method for each message, because a generic one would not be specialised across
// the module boundary.

extension WireGetRequest {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireGetResponse {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WirePutRequest {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WirePutResponse {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireDeleteRequest {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireDeleteResponse {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireScanRequest {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireScanResponse {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireBatchRequest {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

extension WireBatchResponse {
    /// Decodes the readable bytes of `buffer`, which are one whole message.
    package init(decoding buffer: ByteBuffer) throws(WireError) {
        try self.init(message: buffer)
    }

    /// Length of the encoded message in bytes.
    package var encodedSize: Int {
        ProtoSizer.size(of: self)
    }

    /// Appends the encoded message, without any prefix.
    package func encode(into buffer: inout ByteBuffer) {
        write(to: &buffer)
    }
}

/// The calls of an encoded `atlas.SessionRequest`, one at a time.
package struct WireSessionCalls {
    private var elements: WireElements

    /// - Parameter buffer: its readable bytes are one whole message.
    package init(decoding buffer: ByteBuffer) {
        elements = WireElements(buffer)
    }

    /// The next call; `nil` behind the last one. After an error nothing more can be read.
    package mutating func next() throws(WireError) -> WireSessionCall? {
        try elements.next()
    }
}

/// The answers of an encoded `atlas.SessionResponse`, one at a time.
package struct WireSessionAnswers {
    private var elements: WireElements

    /// - Parameter buffer: its readable bytes are one whole message.
    package init(decoding buffer: ByteBuffer) {
        elements = WireElements(buffer)
    }

    /// The next answer; `nil` behind the last one. After an error nothing more can be read.
    package mutating func next() throws(WireError) -> WireSessionAnswer? {
        try elements.next()
    }
}

extension WireSessionCall {
    /// Appends the call to a `SessionRequest`: any number of calls behind each other in `request` are a whole message.
    package func append(to request: inout ByteBuffer) {
        writeElement(to: &request)
    }
}

extension WireSessionAnswer {
    /// Appends the answer to a `SessionResponse`: any number of answers behind each other in `response` are a whole
    /// message.
    package func append(to response: inout ByteBuffer) {
        writeElement(to: &response)
    }
}
