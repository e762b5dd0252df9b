internal import AtlasCore
package import AtlasProtobuf
internal import AtlasRocksDB
internal import NIOCore
internal import NIOPosix

/// When a call arrived, and until when somebody waits for its answer.
package struct Arrival: Sendable {
    /// Monotonic nanoseconds.
    let time: UInt64
    let deadline: UInt64

    /// - Parameter timeRemaining: nanoseconds; `nil` is forever.
    package init(timeRemaining: Int64?) {
        let now = SystemClock.monotonic()
        time = now
        deadline = timeRemaining.map { now + UInt64(max(0, $0)) } ?? .max
    }
}

/// What a call gets: its response, or why there is none.
package typealias ServiceResult<Response: Sendable> = Result<Response, ServiceError>

/// The key-value operations, whichever way a call arrived: by itself, in a session, or from within the process.
///
/// Every method is called on the loop of its `LoopContext`, and answers there, at once or later.
package final class KeyValueService: Sendable {
    package let node: Node
    let translation: RequestTranslation
    let receipts: ReceiptTranslation

    package init(node: Node) {
        self.node = node
        translation = RequestTranslation(config: node.config)
        receipts = ReceiptTranslation(config: node.config)
    }

    /// The largest message that an answer over the network may be.
    var answerBytesMax: Int {
        node.config.node.transport.maxSendMsgSize
    }
}

// MARK: - Get

extension KeyValueService {
    package func get(
        _ request: WireGetRequest,
        _ arrival: Arrival,
        on loop: LoopContext,
        respond: @escaping @Sendable (ServiceResult<WireGetResponse>) -> Void
    ) {
        let finish: @Sendable (ServiceResult<WireGetResponse>) -> Void = { result in
            loop.record(.get, result, since: arrival)
            respond(result)
        }
        do throws(ServiceError) {
            let (key, read) = try translation.get(request)
            let range = KeyRange(start: key, end: key.successor)
            try whenReadable(range, read, arrival, on: loop, wantsReceipt: request.wantReceipt) { [self] readable in
                switch readable {
                case .success(let point):
                    readRecord(key, at: read.version, on: loop) { result in
                        finish(result.map { self.response(to: request, record: $0, point: point, arrival: arrival) })
                    }
                case .failure(let error):
                    finish(.failure(error))
                }
            }
        } catch {
            finish(.failure(error))
        }
    }

    /// Calls back when the state that a read asks for may be read: at once where the core has permitted it.
    /// - Parameters:
    ///   - wantsReceipt: ask the core even so.
    ///   - then: gets the core's word on how the read was served; `nil` where the permit stood in for it.
    func whenReadable(
        _ range: KeyRange,
        _ read: RequestTranslation.Read,
        _ arrival: Arrival,
        on loop: LoopContext,
        wantsReceipt: Bool,
        then: @escaping @Sendable (ServiceResult<ReadPoint?>) -> Void
    ) throws(ServiceError) {
        guard let question = try node.question(range, read, arrival, wantsReceipt: wantsReceipt) else {
            return then(.success(nil))
        }
        let responder = Responder(outbox: loop.outbox) { [node] outcome in
            then(outcome.readPoint(at: node).map(Optional.some))
        }
        loop.submit(.read(question, responder))
    }

    /// Reads a record, inline if memory has it.
    private func readRecord(
        _ key: Key,
        at version: Timestamp?,
        on loop: LoopContext,
        then: @escaping @Sendable (ServiceResult<Record?>) -> Void
    ) {
        let node = node
        node.readingStore(on: loop.eventLoop) { tier throws(StoreError) in
            let record =
                if let version { try node.store.record(of: key, at: version, tier: tier) } else {
                    try node.store.record(of: key, tier: tier)
                }
            let now = version?.milliseconds ?? SystemClock.wall()
            return record.flatMap { $0.isExpired(at: now) ? nil : $0 }
        } then: { result in
            then(result)
        }
    }

    private func response(
        to request: WireGetRequest,
        record: Record?,
        point: ReadPoint?,
        arrival: Arrival
    ) -> WireGetResponse {
        var response = WireGetResponse()
        if let record {
            response.found = true
            response.value = record.value
            response.version = Int64(record.version.rawValue)
        }
        response.receipt = point.map { receipts.read($0.receipt, arrival) }
        return response
    }
}

extension Node {
    /// Runs a read of the store inline if memory suffices, otherwise on a thread that may wait; calls back on the loop.
    func readingStore<Value: Sendable>(
        on loop: any EventLoop,
        _ read: @escaping @Sendable (ReadTier) throws(StoreError) -> Value,
        then: @escaping @Sendable (ServiceResult<Value>) -> Void
    ) {
        do throws(StoreError) {
            then(.success(try read(.memory)))
        } catch .notInMemory {
            counters.noteDiskRead()
            pool.submit { _ in
                let result: ServiceResult<Value>
                do throws(StoreError) {
                    result = .success(try read(.disk))
                } catch {
                    result = .failure(ServiceError(error))
                }
                loop.execute { then(result) }
            }
        } catch {
            then(.failure(ServiceError(error)))
        }
    }
}

// MARK: - Writes

extension KeyValueService {
    package func put(
        _ request: WirePutRequest,
        _ arrival: Arrival,
        on loop: LoopContext,
        respond: @escaping @Sendable (ServiceResult<WirePutResponse>) -> Void
    ) {
        let write: WriteRequest
        do throws(ServiceError) {
            write = try translation.put(request, arrival)
        } catch {
            loop.record(.put, .error, since: arrival)
            return respond(.failure(error))
        }
        let wantsReceipt = request.wantReceipt
        submit(write, .put, arrival, on: loop) { [receipts] result in
            respond(
                result.map { result, receipt in
                    WirePutResponse(
                        write.command.operations[0],
                        result,
                        receipt: wantsReceipt ? receipts.write(receipt, arrival) : nil
                    )
                }
            )
        }
    }

    package func delete(
        _ request: WireDeleteRequest,
        _ arrival: Arrival,
        on loop: LoopContext,
        respond: @escaping @Sendable (ServiceResult<WireDeleteResponse>) -> Void
    ) {
        let write: WriteRequest
        do throws(ServiceError) {
            write = try translation.delete(request, arrival)
        } catch {
            loop.record(.delete, .error, since: arrival)
            return respond(.failure(error))
        }
        let wantsReceipt = request.wantReceipt
        submit(write, .delete, arrival, on: loop) { [receipts] result in
            respond(
                result.map { result, receipt in
                    WireDeleteResponse(
                        write.command.operations[0],
                        result,
                        receipt: wantsReceipt ? receipts.write(receipt, arrival) : nil
                    )
                }
            )
        }
    }

    package func batch(
        _ request: WireBatchRequest,
        _ arrival: Arrival,
        on loop: LoopContext,
        respond: @escaping @Sendable (ServiceResult<WireBatchResponse>) -> Void
    ) {
        let write: WriteRequest
        do throws(ServiceError) {
            write = try translation.batch(request, arrival)
        } catch {
            loop.record(.batch, .error, since: arrival)
            return respond(.failure(error))
        }
        let wantsReceipt = request.wantReceipt
        let finish: @Sendable (ServiceResult<(CommandResult, Receipt?)>) -> Void = { [receipts] result in
            respond(
                result.map { result, receipt in
                    WireBatchResponse(
                        write.command,
                        result,
                        receipt: wantsReceipt ? receipt.map { receipts.write($0, arrival) } : nil
                    )
                }
            )
        }
        if write.command.isReadOnly {
            readBatch(write.command, arrival, on: loop, wantsReceipt: wantsReceipt, then: finish)
        } else {
            submit(write, .batch, arrival, on: loop) { result in
                finish(result.map { ($0.0, $0.1) })
            }
        }
    }

    /// A batch that writes nothing reads one snapshot, and needs no log.
    private func readBatch(
        _ command: Command,
        _ arrival: Arrival,
        on loop: LoopContext,
        wantsReceipt: Bool,
        then: @escaping @Sendable (ServiceResult<(CommandResult, Receipt?)>) -> Void
    ) {
        let finish: @Sendable (ServiceResult<(CommandResult, Receipt?)>) -> Void = { result in
            loop.record(.batch, result, since: arrival)
            then(result)
        }
        let range = KeyRange(start: command.operations.first?.key ?? Key([0]), end: nil)
        let newest = RequestTranslation.Read(version: nil, minVersion: .zero)
        do throws(ServiceError) {
            try whenReadable(range, newest, arrival, on: loop, wantsReceipt: wantsReceipt) { [node] readable in
                switch readable {
                case .success(let point):
                    let snapshot = node.store.snapshot()
                    node.readingStore(on: loop.eventLoop) { tier throws(StoreError) in
                        try StateMachine.evaluate(command, now: SystemClock.wall()) { key throws(StoreError) in
                            try snapshot.record(of: key, at: nil, tier: tier)
                        }
                    } then: { result in
                        finish(result.map { ($0, point?.receipt) })
                    }
                case .failure(let error):
                    finish(.failure(error))
                }
            }
        } catch {
            finish(.failure(error))
        }
    }

    private func submit(
        _ write: WriteRequest,
        _ kind: OperationKind,
        _ arrival: Arrival,
        on loop: LoopContext,
        then: @escaping @Sendable (ServiceResult<(CommandResult, Receipt)>) -> Void
    ) {
        if let overload = node.overload(for: write.command) {
            loop.record(kind, .error, since: arrival)
            return then(.failure(ServiceError(overload)))
        }
        loop.submit(
            .write(
                write,
                Responder(outbox: loop.outbox) { [node] outcome in
                    let result = outcome.written(at: node)
                    loop.record(kind, result, since: arrival)
                    then(result)
                }
            )
        )
    }
}

extension Command {
    fileprivate var isReadOnly: Bool {
        !operations.contains(where: \.isWrite)
    }
}

// MARK: - Counting

extension LoopContext {
    func record(_ kind: OperationKind, _ ending: OperationStatistics.Ending, since arrival: Arrival) {
        statistics.record(kind, ending, nanoseconds: SystemClock.monotonic() - arrival.time)
    }

    func record<Response>(_ kind: OperationKind, _ result: ServiceResult<Response>, since arrival: Arrival) {
        switch result {
        case .success: record(kind, .ok, since: arrival)
        case .failure: record(kind, .error, since: arrival)
        }
    }

    func record<Extra>(_ kind: OperationKind, _ result: ServiceResult<(CommandResult, Extra)>, since arrival: Arrival) {
        switch result {
        case .success((.conditionFailed, _)): record(kind, .conditionFailed, since: arrival)
        case .success: record(kind, .ok, since: arrival)
        case .failure: record(kind, .error, since: arrival)
        }
    }
}
