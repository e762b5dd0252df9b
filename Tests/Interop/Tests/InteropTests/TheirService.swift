import GRPCCore

/// The interop methods on grpc-swift's server; see `InteropService` for what each of them does.
struct TheirService: RegistrableRPCService {
    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        func register(
            _ method: String,
            _ handler:
                @Sendable @escaping (StreamingServerRequest<[UInt8]>) async throws -> StreamingServerResponse<[UInt8]>
        ) {
            router.registerHandler(
                forMethod: .interop(method),
                deserializer: BytesDeserializer(),
                serializer: BytesSerializer()
            ) { request, _ in try await handler(request) }
        }
        register("Echo") { request in
            let request = try await ServerRequest(stream: request)
            return StreamingServerResponse(single: ServerResponse(message: request.message))
        }
        register("Fail") { _ in
            throw RPCError(
                code: .failedPrecondition,
                message: "not ready: 50% ünmöglich\n",
                metadata: ["reason": "because", "blob-bin": [0, 1, 254, 255]]
            )
        }
        register("Metadata") { request in
            var back = Metadata()
            for value in request.metadata[stringValues: "color"] { back.addString(value, forKey: "color") }
            for value in request.metadata[binaryValues: "data-bin"] { back.addBinary(value, forKey: "data-bin") }
            let request = try await ServerRequest(stream: request)
            return StreamingServerResponse(
                single: ServerResponse(message: request.message, metadata: back, trailingMetadata: back)
            )
        }
        router.registerHandler(
            forMethod: .interop("Never"),
            deserializer: BytesDeserializer(),
            serializer: BytesSerializer()
        ) { _, context in
            // Their server does not hear of a cancellation that comes before the handler has begun, and waits for it at
            // its own end: without a limit, now and then for ever.
            await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await context.cancellation.cancelled }
                group.addTask { try? await Task.sleep(for: .seconds(5)) }
                await group.next()
                group.cancelAll()
            }
            throw RPCError(code: .cancelled, message: "cancelled")
        }
        register("TimeLeft") { request in
            let timeout = request.metadata[stringValues: "grpc-timeout"].first { _ in true }
            return StreamingServerResponse(single: ServerResponse(message: [UInt8](timeout ?? "none")))
        }
        register("Stream") { request in
            StreamingServerResponse { writer in
                for try await message in request.messages { try await writer.write(message) }
                return [:]
            }
        }
        register("Collect") { request in
            let sum = try await request.messages.reduce(into: 0) { $0 += $1.count }
            return StreamingServerResponse(single: ServerResponse(message: [UInt8]("\(sum)")))
        }
        register("Source") { request in
            let request = try await ServerRequest(stream: request)
            let numbers = request.message.text.split(separator: " ").compactMap { Int($0) }
            return StreamingServerResponse { writer in
                for _ in 0..<numbers[0] { try await writer.write([UInt8](repeating: 7, count: numbers[1])) }
                return [:]
            }
        }
    }
}
