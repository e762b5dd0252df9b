internal import AtlasWire
internal import AtlasRPC
internal import NIOCore
internal import SwiftProtobuf
internal import AtlasTypes

// Calls that travel alone, without the session.

extension ClientCore {
    /// One gRPC call, with no retries.
    func unary<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ path: String,
        _ request: Request,
        timeout: Duration?
    ) async throws(AtlasError) -> Response {
        guard let bytes: [UInt8] = try? request.serializedBytes() else {
            preconditionFailure("a message without required fields can always be encoded")
        }
        let time = TimeAmount(timeout ?? configuration.timeout)
        let reply = try await send(path, RPCMessage(bytes: bytes), isWrite: false, on: nextLane(), timeout: time)
        guard let response = try? Response(serializedBytes: Array(reply.readableBytesView)) else {
            throw AtlasError(.internal, "the answer of \(path) cannot be decoded")
        }
        return response
    }

    /// A key-value call as one of its own.
    func attemptAlone(
        _ body: WireSessionCall.Body,
        on lane: Lane,
        _ deadline: NIODeadline
    ) async -> Result<WireSessionAnswer.Body, AtlasError> {
        do throws(AtlasError) {
            return .success(try await sendAlone(body, on: lane, timeout: deadline - .now()))
        } catch {
            return .failure(error)
        }
    }

    private func sendAlone(
        _ body: WireSessionCall.Body,
        on lane: Lane,
        timeout: TimeAmount
    ) async throws(AtlasError) -> WireSessionAnswer.Body {
        do {
            switch body {
            case .get(let request):
                let message = RPCMessage(capacity: request.encodedSize) { request.encode(into: &$0) }
                let reply = try await send("/atlas.AtlasDB/Get", message, isWrite: false, on: lane, timeout: timeout)
                return .get(try WireGetResponse(decoding: reply))
            case .put(let request):
                let message = RPCMessage(capacity: request.encodedSize) { request.encode(into: &$0) }
                let reply = try await send("/atlas.AtlasDB/Put", message, isWrite: true, on: lane, timeout: timeout)
                return .put(try WirePutResponse(decoding: reply))
            case .delete(let request):
                let message = RPCMessage(capacity: request.encodedSize) { request.encode(into: &$0) }
                let reply = try await send("/atlas.AtlasDB/Delete", message, isWrite: true, on: lane, timeout: timeout)
                return .delete(try WireDeleteResponse(decoding: reply))
            case .batch(let request):
                let message = RPCMessage(capacity: request.encodedSize) { request.encode(into: &$0) }
                let reply = try await send("/atlas.AtlasDB/Batch", message, isWrite: true, on: lane, timeout: timeout)
                return .batch(try WireBatchResponse(decoding: reply))
            case .scan, .cancel, .credit:
                preconditionFailure("scans use the session")
            }
        } catch let error as AtlasError {
            throw error
        } catch {
            throw AtlasError(.internal, "an answer cannot be decoded: \(error)").with { $0.outcomeUnknown = true }
        }
    }

    private func send(
        _ path: String,
        _ message: RPCMessage,
        isWrite: Bool,
        on lane: Lane,
        timeout: TimeAmount
    ) async throws(AtlasError) -> ByteBuffer {
        guard message.count <= configuration.sendMessageBytesMax else {
            throw .tooLarge(size: message.count, allowed: configuration.sendMessageBytesMax)
        }
        let (channel, endpoint) = lane.channel
        do throws(RPCStatus) {
            return try await channel.unary(path, message, timeout: timeout).message
        } catch {
            let isLost = error.details == nil && !error.notProcessed
            throw AtlasError(error).with {
                $0.endpoint = endpoint.description
                if isWrite && isLost { $0.outcomeUnknown = true }
            }
        }
    }
}
