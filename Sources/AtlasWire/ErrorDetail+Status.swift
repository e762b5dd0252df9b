internal import SwiftProtobuf

extension Atlas_ErrorDetail {
    /// The content of the trailer `grpc-status-details-bin` (before base64): a `google.rpc.Status` that carries this.
    /// - Parameter status: a gRPC status code.
    package func statusDetails(status: Int32) -> [UInt8] {
        let encoded = Google_Rpc_Status.with {
            $0.code = status
            $0.message = message
            $0.details = (try? Google_Protobuf_Any(message: self)).map { [$0] } ?? []
        }
        guard let bytes: [UInt8] = try? encoded.serializedBytes() else {
            preconditionFailure("a message without required fields can always be encoded")
        }
        return bytes
    }

    /// The first `atlas.ErrorDetail` in the content of a trailer `grpc-status-details-bin` (after base64); `nil` if there
    /// is none that can be read.
    package init?(statusDetails bytes: [UInt8]) {
        guard let status = try? Google_Rpc_Status(serializedBytes: bytes) else { return nil }
        guard let detail = status.details.first(where: { $0.isA(Self.self) }),
            let decoded = try? Self(unpackingAny: detail)
        else { return nil }
        self = decoded
    }
}
