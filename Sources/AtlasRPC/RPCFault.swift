/// Why a server ends a call by itself, without a word from the method's handler.
package enum RPCFault: Sendable, Hashable {
    case noSuchMethod(path: String)
    case malformedTimeout(String)
    case deadlinePassed
    case requestTimeout

    case messageTooLarge(bytes: Int, max: Int)
    case compressedMessage
    /// The first byte of a message is neither 0 nor 1.
    case malformedPrefix(UInt8)
    case truncatedMessage
    case noMessage
    case secondMessage
    /// More than `inboundBytesMax` or `inboundBytesTotalMax`.
    case tooManyUnfinishedBytes

    case answerTooLarge(bytes: Int, max: Int)
    /// More than `outboundBytesMax` or `outboundBytesTotalMax`.
    case tooManyAnswersWaiting

    /// What the client is told; see ``RPCServerConfiguration/describe``.
    package var status: RPCStatus {
        switch self {
        case .noSuchMethod(let path): RPCStatus(.unimplemented, "there is no method \(Self.cut(path))")
        case .malformedTimeout(let text): RPCStatus(.internal, "grpc-timeout is not a timeout: \(Self.cut(text))")
        case .deadlinePassed: RPCStatus(.deadlineExceeded, "the deadline passed on the server")
        case .requestTimeout: RPCStatus(.deadlineExceeded, "the request did not arrive in time")
        case .messageTooLarge(let bytes, let max):
            RPCStatus(.resourceExhausted, "message of \(bytes) bytes is larger than the limit of \(max)")
        case .compressedMessage: RPCStatus(.unimplemented, "compressed messages are not supported")
        case .malformedPrefix(let flag): RPCStatus(.internal, "message prefix starts with \(flag)")
        case .truncatedMessage: RPCStatus(.internal, "the stream ended inside a message")
        case .noMessage: RPCStatus(.unimplemented, "no message in a call that takes one")
        case .secondMessage: RPCStatus(.unimplemented, "more than one message in a call that takes one")
        case .tooManyUnfinishedBytes:
            RPCStatus(.resourceExhausted, "too many bytes of unfinished messages wait here")
        case .answerTooLarge(let bytes, let max):
            RPCStatus(.resourceExhausted, "answer of \(bytes) bytes is larger than the limit of \(max)")
        case .tooManyAnswersWaiting:
            RPCStatus(.resourceExhausted, "too many answers wait for this client to read them")
        }
    }

    /// What the client sent is not sent back at any length: the message stands in the details too.
    private static func cut(_ text: String) -> String { ResponseHeaders.cut(text, to: 256) }
}
