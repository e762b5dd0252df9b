internal import AtlasCore
package import AtlasWire
internal import AtlasRPC
internal import AtlasRocksDB
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes
package import AtlasNode
internal import AtlasConfiguration

/// When a call arrived, and until when somebody waits for its answer.
package struct Arrival: Sendable {
    /// Monotonic nanoseconds.
    let time: UInt64
    let deadline: UInt64

    /// - Parameter timeRemaining: nanoseconds; `nil` is forever.
    package init(timeRemaining: Int64?) {
        let now = SystemClock.monotonic()
        time = now
        deadline = timeRemaining.map { now + Self.timeToServe(UInt64(max(0, $0))) } ?? .max
    }

    /// Whoever waits is to hear why it was in vain: a little of the time is kept for the answer.
    private static func timeToServe(_ remaining: UInt64) -> UInt64 {
        remaining - min(remaining / 20, answerTimeMax)
    }

    /// Nanoseconds.
    private static let answerTimeMax: UInt64 = 100_000_000
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
    /// Nanoseconds that a request without a deadline may take.
    private let patience: UInt64

    package init(node: Node) {
        self.node = node
        let timeout = node.config.node.transport.requestTimeout
        patience = timeout == .zero ? .max : timeout.nanoseconds
        translation = RequestTranslation(config: node.config)
        receipts = ReceiptTranslation(node: node)
    }

    /// Whoever set none would wait for as long as a quorum is missing, with all that its request holds.
    private func deadline(_ asked: UInt64) -> UInt64 {
        guard asked == .max, patience < .max else { return asked }
        return SystemClock.monotonic() + patience
    }

    /// The largest message that an answer over the network may be.
    var answerBytesMax: Int {
        node.config.node.transport.maxSendMsgSize
    }

    /// The same for a batch, as far as can be said before it is evaluated: where so much cannot wait to be sent, it is not.
    func answerBytesMax(of batch: WireBatchRequest) -> Int {
        let values = batch.operations.count { $0.type == .get || $0.returnPrevious }
        let (bytes, overflow) = values.multipliedReportingOverflow(by: node.config.cluster.limits.maxValueSize)
        return overflow ? answerBytesMax : min(bytes, answerBytesMax)
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
            switch try node.way(range, read, arrival, query: .get(key), wantsReceipt: request.wantReceipt) {
            case .ask(let question):
                ask(question, request, arrival, on: loop, then: finish)
            case .permitted(let permit):
                readRecord(key, at: read.version, permit, on: loop) { [self] result in
                    if permit.isGone || (try? result.get().isInDoubt) ?? false {
                        return ask(read.request(range, arrival, .get(key)), request, arrival, on: loop, then: finish)
                    }
                    finish(result.map { WireGetResponse($0.record) })
                }
            }
        } catch {
            finish(.failure(error))
        }
    }

    private func ask(
        _ question: ReadRequest,
        _ request: WireGetRequest,
        _ arrival: Arrival,
        on loop: LoopContext,
        then: @escaping @Sendable (ServiceResult<WireGetResponse>) -> Void
    ) {
        ask(question, on: loop) { [receipts] result in
            then(
                result.map { result, receipt in
                    var response = WireGetResponse(result)
                    if request.wantReceipt { response.receipt = receipts.read(receipt, arrival) }
                    return response
                }
            )
        }
    }

    /// Has a read served by whichever node the core finds.
    func ask(
        _ question: ReadRequest,
        on loop: LoopContext,
        then: @escaping @Sendable (ServiceResult<(ReadResult, Receipt)>) -> Void
    ) {
        let responder = Responder(outbox: loop.outbox) { [node] outcome in then(outcome.read(at: node)) }
        var question = question
        question.deadline = deadline(question.deadline)
        loop.submit(.read(question, responder))
    }

    /// Reads a record, inline if memory has it.
    private func readRecord(
        _ key: Key,
        at version: Timestamp?,
        _ permit: ReadPermit,
        on loop: LoopContext,
        then: @escaping @Sendable (ServiceResult<(record: Record?, isInDoubt: Bool)>) -> Void
    ) {
        let (store, time) = (node.store, permit.time)
        node.readingStore(on: loop.eventLoop) { tier throws(StoreError) in
            try store.record(of: key, at: version, permit, from: time, tier: tier)
        } then: { result in
            then(result)
        }
    }
}

extension RocksDBStore {
    /// What a read with a permit shows of a key.
    /// - Parameter time: of the permit, before the state is read.
    func record(
        of key: Key,
        at version: Timestamp?,
        _ permit: ReadPermit,
        from time: Timestamp,
        tier: ReadTier
    ) throws(StoreError) -> (record: Record?, isInDoubt: Bool) {
        guard let version else { return try liveRecord(of: key, in: permit.key.tablet, from: time, tier: tier) }
        let record = try record(of: key, at: version, tier: tier)
        return (record.flatMap { $0.isExpired(at: version.milliseconds) ? nil : $0 }, false)
    }

    /// What a batch without writes with a permit shows, from one snapshot.
    func evaluate(
        _ command: Command,
        _ permit: ReadPermit,
        answerBytesMax: Int,
        tier: ReadTier
    ) throws(StoreError) -> (result: CommandResult, isInDoubt: Bool) {
        let time = permit.time
        let snapshot = snapshot()
        var now = try snapshot.readTime(of: permit.key.tablet, from: time)
        let result = try StateMachine.evaluate(
            command,
            now: now.milliseconds,
            answerBytesMax: answerBytesMax
        ) { key throws(StoreError) in
            let record = try snapshot.record(of: key, at: nil, tier: tier)
            now.note(record)
            return record
        }
        return (result, now.isInDoubt)
    }
}

extension WireGetResponse {
    init(_ record: Record?) {
        self.init()
        guard let record else { return }
        found = true
        value = record.value
        version = Int64(record.version.rawValue)
    }

    init(_ result: ReadResult) {
        self.init()
        guard case .got(.applied(_, let results, _)) = result, let met = results.first, met.found else { return }
        found = true
        value = met.value ?? []
        version = Int64(met.version.rawValue)
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
        guard let range = command.range else {
            return finish(.success((.applied(version: .zero, results: [], duplicate: false), nil)))
        }
        let read = RequestTranslation.Read()
        let ask: @Sendable (ReadRequest) -> Void = { [self] question in
            self.ask(question, on: loop) { result in
                finish(result.flatMap { result, receipt in result.batch.map { ($0, receipt) } })
            }
        }
        do throws(ServiceError) {
            switch try node.way(range, read, arrival, query: .get(command), wantsReceipt: wantsReceipt) {
            case .ask(let question):
                // A batch begins where its first key is.
                ask(question)
            case .permitted(let permit):
                let (store, bytesMax) = (node.store, min(answerBytesMax, Limits.answerBytesMax))
                node.readingStore(on: loop.eventLoop) { tier throws(StoreError) in
                    try store.evaluate(command, permit, answerBytesMax: bytesMax, tier: tier)
                } then: { [node] result in
                    if permit.isGone || (try? result.get().isInDoubt) ?? false {
                        return ask(read.request(range, arrival, .get(command)))
                    }
                    finish(result.flatMap { $0.result.told(by: node) }.map { ($0, nil) })
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
        guard write.command.mayReplaceTooMuch(node.config.cluster.limits) else {
            return propose(write, kind, arrival, on: loop, then: then)
        }
        node.readingStore(on: loop.eventLoop) { [node] tier throws(StoreError) in
            try write.command.refusal(replacingIn: node.store, tier: tier)
        } then: { [self] result in
            switch result {
            case .success(nil):
                propose(write, kind, arrival, on: loop, then: then)
            case .success(let error?), .failure(let error):
                loop.record(kind, .error, since: arrival)
                then(.failure(error))
            }
        }
    }

    private func propose(
        _ write: WriteRequest,
        _ kind: OperationKind,
        _ arrival: Arrival,
        on loop: LoopContext,
        then: @escaping @Sendable (ServiceResult<(CommandResult, Receipt)>) -> Void
    ) {
        var write = write
        write.deadline = deadline(write.deadline)
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

    /// From the lowest key to the highest; `nil` without operations.
    var range: KeyRange? {
        let keys = operations.map(\.key)
        guard let lowest = keys.min(), let highest = keys.max() else { return nil }
        return KeyRange(start: lowest, end: highest.successor)
    }
}

extension ReadQuery {
    static func get(_ key: Key) -> ReadQuery {
        .get(Command(operations: [Operation(.get, key: key)]))
    }
}

extension ReadResult {
    /// As a batch gets it.
    var batch: ServiceResult<CommandResult> {
        if case .got(let result) = self { return .success(result) }
        return .failure(ServiceError(.internal, .internal, "the answer is of another kind than the request"))
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
