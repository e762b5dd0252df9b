internal import NIOCore

/// A protobuf message that is read and written by hand, because it lies on the path of every request: straight between
/// a `ByteBuffer` and byte arrays, without reflection and without keeping unknown fields. Everything else uses the
/// generated messages; `WireDifferentialTests` holds both to the same behaviour.
///
/// Decoding follows protobuf: unknown fields are passed over, the last of a repeated scalar wins, repeated messages are
/// merged. What a value means (limits, conditions, ids) is for the service to judge.
protocol WireMessage: Sendable {
    init()

    /// Reads fields until the end of the message, on top of what is there.
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError)

    /// Writes every field that does not have its default, in ascending order.
    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink)
}

extension WireMessage {
    @inline(__always)
    init(message buffer: ByteBuffer) throws(WireError) {
        self.init()
        let input = buffer.readableBytesSpan
        var reader = ProtoReader(input)
        try merge(input, &reader)
    }

    @inline(__always)
    func write(to buffer: inout ByteBuffer) {
        buffer.writeWithOutputRawSpan(minimumWritableBytes: ProtoSizer.size(of: self)) { output in
            fields(to: &output)
        }
    }

    /// Writes the message as an element of the repeated field 1 of another. Such elements, one behind the other, are the
    /// encoding of that other message.
    @inline(__always)
    func writeElement(to buffer: inout ByteBuffer) {
        let size = ProtoSizer.size(of: self)
        buffer.writeWithOutputRawSpan(minimumWritableBytes: size + 11) { output in
            output.varint(1 << 3 | 2)
            output.varint(UInt64(size))
            fields(to: &output)
        }
    }
}

/// The elements of a message that has nothing but one repeated field, number 1.
struct WireElements {
    private let buffer: ByteBuffer
    private var reader: ProtoReader

    init(_ buffer: ByteBuffer) {
        self.buffer = buffer
        reader = ProtoReader(buffer.readableBytesSpan)
    }

    @inline(__always)
    mutating func next<Element: WireMessage>() throws(WireError) -> Element? {
        let buffer = buffer
        let input = buffer.readableBytesSpan
        var reader = reader
        defer { self.reader = reader }
        while let tag = try reader.tag(in: input) {
            guard tag.field == 1, tag.kind == .lengthDelimited else {
                try reader.skip(tag, in: input)
                continue
            }
            return try reader.element(in: input) as Element
        }
        return nil
    }
}
