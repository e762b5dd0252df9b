internal import AtlasTypes

/// Why bytes are not a protobuf message. Whoever sent them is at fault; nothing of the message may be used.
package enum WireError: Error, Hashable, Sendable {
    /// A field ends beyond the end of its message.
    case truncated
    /// A varint of more than ten bytes.
    case varintTooLong
    /// A field number of 0, a field number beyond 29 bits, or a wire type that does not exist.
    case tagInvalid
    /// The end of a group that was not begun.
    case groupMismatched
    /// Messages or groups inside each other, more than `ProtoReader.depthMax` deep.
    case nestingTooDeep
    /// A `string` field that is not UTF-8.
    case stringInvalid
    /// A batch of more operations than any server takes.
    case tooManyOperations
    /// An `atlas.ErrorDetail` that cannot be read.
    case errorDetailInvalid
}

extension WireError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated: "a field ends beyond its message"
        case .varintTooLong: "a varint has more than ten bytes"
        case .tagInvalid: "a field has an invalid tag"
        case .groupMismatched: "a group ends that was not begun"
        case .nestingTooDeep: "messages are nested more than \(ProtoReader.depthMax) deep"
        case .stringInvalid: "a string is not UTF-8"
        case .tooManyOperations: "a batch has more than \(BatchLimits.operationsMax) operations"
        case .errorDetailInvalid: "an error detail cannot be read"
        }
    }
}
