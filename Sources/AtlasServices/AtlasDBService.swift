internal import AtlasWire
package import AtlasRPC
internal import NIOCore

/// The gRPC methods of `atlas.AtlasDB`.
package struct AtlasDBService: Sendable {
    private let service: KeyValueService
    /// By the index of the event loop in the server's group.
    private let loops: [LoopContext]

    package init(service: KeyValueService, loops: [LoopContext]) {
        self.service = service
        self.loops = loops
    }

    package var methods: [RPCMethod] {
        [
            .unary("/atlas.AtlasDB/Get", get),
            .unary("/atlas.AtlasDB/Put", put),
            .unary("/atlas.AtlasDB/Delete", delete),
            .unary("/atlas.AtlasDB/Batch", batch),
            .streaming("/atlas.AtlasDB/Scan") { call in
                ScanStream(call, service: service, loop: loops[call.loopIndex])
            },
            .streaming("/atlas.AtlasDB/Session") { call in
                SessionStream(call, service: service, loop: loops[call.loopIndex])
            },
        ]
    }

    private func get(_ call: RPCServerCall, _ message: ByteBuffer) {
        do throws(WireError) {
            let request = try WireGetRequest(decoding: message)
            service.get(request, call.arrival, on: loops[call.loopIndex]) { result in
                switch result {
                case .success(let response):
                    call.respond(RPCMessage(capacity: response.encodedSize) { response.encode(into: &$0) })
                case .failure(let error): call.fail(error.rpcStatus)
                }
            }
        } catch {
            call.fail(ServiceError.malformed(error).rpcStatus)
        }
    }

    private func put(_ call: RPCServerCall, _ message: ByteBuffer) {
        do throws(WireError) {
            let request = try WirePutRequest(decoding: message)
            service.put(request, call.arrival, on: loops[call.loopIndex]) { result in
                switch result {
                case .success(let response):
                    call.respond(RPCMessage(capacity: response.encodedSize) { response.encode(into: &$0) })
                case .failure(let error): call.fail(error.rpcStatus)
                }
            }
        } catch {
            call.fail(ServiceError.malformed(error).rpcStatus)
        }
    }

    private func delete(_ call: RPCServerCall, _ message: ByteBuffer) {
        do throws(WireError) {
            let request = try WireDeleteRequest(decoding: message)
            service.delete(request, call.arrival, on: loops[call.loopIndex]) { result in
                switch result {
                case .success(let response):
                    call.respond(RPCMessage(capacity: response.encodedSize) { response.encode(into: &$0) })
                case .failure(let error): call.fail(error.rpcStatus)
                }
            }
        } catch {
            call.fail(ServiceError.malformed(error).rpcStatus)
        }
    }

    private func batch(_ call: RPCServerCall, _ message: ByteBuffer) {
        do throws(WireError) {
            let request = try WireBatchRequest(decoding: message)
            guard call.hasRoom(forAnswer: service.answerBytesMax(of: request)) else {
                return call.fail(ServiceError(.tooManyAnswersWaiting, isHandled: false).rpcStatus)
            }
            service.batch(request, call.arrival, on: loops[call.loopIndex]) { result in
                switch result {
                case .success(let response):
                    let size = response.encodedSize
                    guard size <= service.answerBytesMax else {
                        let error = ServiceError.answerTooLarge(size, allowed: service.answerBytesMax, response)
                        return call.fail(error.rpcStatus)
                    }
                    call.respond(RPCMessage(capacity: size) { response.encode(into: &$0) })
                case .failure(let error): call.fail(error.rpcStatus)
                }
            }
        } catch {
            call.fail(ServiceError.malformed(error).rpcStatus)
        }
    }
}

extension RPCServerCall {
    var arrival: Arrival {
        Arrival(timeRemaining: timeRemaining?.nanoseconds)
    }
}

/// `Scan`: one request, a stream of messages.
final class ScanStream: RPCStreamHandler, ScanTask.Sink {
    private let call: RPCServerCall
    private let service: KeyValueService
    private let loop: LoopContext
    private let arrival: Arrival
    private var task: ScanTask?

    init(_ call: RPCServerCall, service: KeyValueService, loop: LoopContext) {
        self.call = call
        self.service = service
        self.loop = loop
        arrival = call.arrival
    }

    func received(_ message: ByteBuffer) {
        guard task == nil else {
            return call.finish(ServiceError.invalid("a scan takes one request").rpcStatus)
        }
        do throws(WireError) {
            let request = try WireScanRequest(decoding: message)
            let task = ScanTask(request, arrival, service: service, on: loop, sink: self)
            self.task = task
            task.start()
        } catch {
            call.finish(ServiceError.malformed(error).rpcStatus)
        }
    }

    func halfClosed() {
        if task == nil { call.finish(ServiceError.invalid("a scan needs a request").rpcStatus) }
    }

    func cancelled(_ status: RPCStatus) {
        task?.cancel()
    }

    func writable() {
        task?.resume()
    }

    var room: Int {
        call.isWritable ? .max : 0
    }

    func send(_ response: WireScanResponse) {
        call.send(RPCMessage(capacity: response.encodedSize) { response.encode(into: &$0) })
    }

    func finish(_ result: ServiceResult<WireSessionScanEnd>) {
        switch result {
        case .success: call.finish()
        case .failure(let error): call.finish(error.rpcStatus)
        }
    }
}
