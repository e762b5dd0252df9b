internal import AtlasCore
package import AtlasWire
internal import AtlasRPC
internal import AtlasRocksDB
internal import NIOPosix
internal import AtlasTypes
package import AtlasNode
internal import AtlasConfiguration

/// The key-value operations for callers in this process: the requests and answers of the API without an event loop in
/// between. A caller runs its own request through the shard, if nobody else is there; whoever finishes it resumes the
/// caller.
package final class EmbeddedService: Sendable {
    package let node: Node
    private let translation: RequestTranslation
    private let receipts: ReceiptTranslation

    package init(node: Node) {
        self.node = node
        translation = RequestTranslation(config: node.config)
        receipts = ReceiptTranslation(node: node)
    }
}

extension EmbeddedService {
    /// Rewrites the store's files without what is no longer needed. Waits for the disk.
    package func compact() throws {
        try node.store.compact()
    }
}

// MARK: - Writes

extension EmbeddedService {
    package nonisolated(nonsending) func put(
        _ request: WirePutRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> WirePutResponse {
        let write = try translation.put(request, arrival)
        let (result, receipt) = try await submit(write)
        return WirePutResponse(
            write.command.operations[0],
            result,
            receipt: request.wantReceipt ? receipts.write(receipt, arrival) : nil
        )
    }

    package nonisolated(nonsending) func delete(
        _ request: WireDeleteRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> WireDeleteResponse {
        let write = try translation.delete(request, arrival)
        let (result, receipt) = try await submit(write)
        return WireDeleteResponse(
            write.command.operations[0],
            result,
            receipt: request.wantReceipt ? receipts.write(receipt, arrival) : nil
        )
    }

    package nonisolated(nonsending) func batch(
        _ request: WireBatchRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> WireBatchResponse {
        let write = try translation.batch(request, arrival)
        let command = write.command
        if command.operations.contains(where: \.isWrite) {
            let (result, receipt) = try await submit(write)
            return WireBatchResponse(
                command,
                result,
                receipt: request.wantReceipt ? receipts.write(receipt, arrival) : nil
            )
        }
        guard let range = command.range else {
            return WireBatchResponse(command, .applied(version: .zero, results: [], duplicate: false), receipt: nil)
        }
        // A batch that writes nothing reads one snapshot, and needs no log.
        let way = try node.way(range, .init(), arrival, query: .get(command), wantsReceipt: request.wantReceipt)
        if case .permitted(let permit) = way {
            let store = node.store
            let found = try await readingStore { tier throws(StoreError) in
                try store.evaluate(command, permit, answerBytesMax: Limits.answerBytesMax, tier: tier)
            }
            if !permit.isGone, !found.isInDoubt {
                return WireBatchResponse(command, try found.result.told(by: node).get(), receipt: nil)
            }
        }
        let question = way.question ?? RequestTranslation.Read().request(range, arrival, .get(command))
        let (result, receipt) = try await ask(question)
        return WireBatchResponse(
            command,
            try result.batch.get(),
            receipt: request.wantReceipt ? receipts.read(receipt, arrival) : nil
        )
    }

    private nonisolated(nonsending) func submit(
        _ write: WriteRequest
    ) async throws(ServiceError) -> (CommandResult, Receipt) {
        if let overload = node.overload(for: write.command) { throw ServiceError(overload) }
        if write.command.mayReplaceTooMuch(node.config.cluster.limits) {
            let refusal = try await readingStore { [node] tier throws(StoreError) in
                try write.command.refusal(replacingIn: node.store, tier: tier)
            }
            if let refusal { throw refusal }
        }
        let outcome = await withUnsafeContinuation { continuation in
            node.write(write, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
        }
        return try outcome.written(at: node).get()
    }
}

// MARK: - Reads

extension EmbeddedService {
    package nonisolated(nonsending) func get(
        _ request: WireGetRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> WireGetResponse {
        let (key, read) = try translation.get(request)
        let range = KeyRange(start: key, end: key.successor)
        let way = try node.way(range, read, arrival, query: .get(key), wantsReceipt: request.wantReceipt)
        if case .permitted(let permit) = way {
            let (store, version, time) = (node.store, read.version, permit.time)
            let found = try await readingStore { tier throws(StoreError) in
                try store.record(of: key, at: version, permit, from: time, tier: tier)
            }
            if !permit.isGone, !found.isInDoubt { return WireGetResponse(found.record) }
        }
        let (result, receipt) = try await ask(way.question ?? read.request(range, arrival, .get(key)))
        var response = WireGetResponse(result)
        if request.wantReceipt { response.receipt = receipts.read(receipt, arrival) }
        return response
    }

    /// - Returns: a scan at a snapshot that is taken now, or with the first page.
    package nonisolated(nonsending) func scan(
        _ request: WireScanRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> EmbeddedScan {
        let (range, read) = try translation.scan(request)
        let query = ReadQuery.scan(request.query())
        let way = try node.way(range, read, arrival, query: query, wantsReceipt: request.wantReceipt)
        if case .permitted(let permit) = way {
            if read.version == nil, permit.isBehind { _ = try await ask(.time(of: range, arrival)) }
            let time = permit.time
            let snapshot = node.store.snapshot()
            do throws(StoreError) {
                let now = try snapshot.readTime(of: permit.key.tablet, from: time, at: read.version).timestamp
                let source = EmbeddedScan.Source.snapshot(snapshot, now: now.milliseconds)
                if !permit.isGone {
                    return EmbeddedScan(self, request, arrival, range, source, version: read.version, newest: now)
                }
            } catch {
                throw ServiceError(error)
            }
        }
        let question = way.question ?? read.request(range, arrival, query)
        return EmbeddedScan(self, request, arrival, range, .core(question), version: read.version, newest: .zero)
    }

    /// Has a read served by whichever node the core finds.
    fileprivate nonisolated(nonsending) func ask(
        _ question: ReadRequest
    ) async throws(ServiceError) -> (ReadResult, Receipt) {
        let outcome = await withUnsafeContinuation { continuation in
            node.read(question, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
        }
        return try outcome.read(at: node).get()
    }

    fileprivate func receipt(_ receipt: Receipt, _ arrival: Arrival) -> WireReceipt {
        receipts.read(receipt, arrival)
    }

    /// Reads on the caller's thread if memory suffices, otherwise on one that may wait.
    fileprivate nonisolated(nonsending) func readingStore<Value: Sendable>(
        _ read: @escaping @Sendable (ReadTier) throws(StoreError) -> Value
    ) async throws(ServiceError) -> Value {
        do throws(StoreError) {
            return try read(.memory)
        } catch .notInMemory {
            node.counters.noteDiskRead()
        } catch {
            throw ServiceError(error)
        }
        let result = await withUnsafeContinuation { continuation in
            node.pool.submit { _ in
                continuation.resume(returning: Result { () throws(StoreError) in try read(.disk) })
            }
        }
        do throws(StoreError) {
            return try result.get()
        } catch {
            throw ServiceError(error)
        }
    }
}

/// A scan of one state, page by page; memory holds one page.
///
/// `@unchecked Sendable`: used by one task at a time.
package final class EmbeddedScan: @unchecked Sendable {
    fileprivate enum Source: Sendable {
        /// - now: milliseconds since 1970: what has expired by then is left out.
        case snapshot(RocksDBSnapshot, now: UInt64)
        /// The next page is asked for like this, but for its range and its bounds.
        case core(ReadRequest)
    }

    private let service: EmbeddedService
    private let request: WireScanRequest
    private let arrival: Arrival
    private let source: Source
    private var version: Timestamp?
    private var snapshotVersion: Timestamp
    private var receipt: WireReceipt?
    private var rest: KeyRange?
    private var itemsLeft: Int
    private var isFirst = true

    fileprivate init(
        _ service: EmbeddedService,
        _ request: WireScanRequest,
        _ arrival: Arrival,
        _ range: KeyRange,
        _ source: Source,
        version: Timestamp?,
        newest: Timestamp
    ) {
        self.service = service
        self.request = request
        self.arrival = arrival
        self.source = source
        self.version = version
        snapshotVersion = version ?? newest
        rest = range.isEmpty ? nil : range
        itemsLeft = request.limit > 0 ? Int(request.limit) : .max
    }

    /// The next page; `nil` behind the last. The first may be empty.
    package nonisolated(nonsending) func nextPage() async throws(ServiceError) -> WireScanResponse? {
        guard rest != nil || isFirst else { return nil }
        var response = WireScanResponse()
        if let rest { response.items = try await readPage(rest) }
        response.snapshotVersion = Int64(snapshotVersion.rawValue)
        response.receipt = receipt
        receipt = nil
        defer { isFirst = false }
        return response.items.isEmpty && !isFirst ? nil : response
    }

    private nonisolated(nonsending) func readPage(_ range: KeyRange) async throws(ServiceError) -> [WireScanItem] {
        let pageItems = request.itemsPerMessage == 0 ? Node.scanPageItemsMax : Int(request.itemsPerMessage)
        let limit = min(itemsLeft, pageItems, Node.scanPageItemsMax)
        let page = try await page(range, limit: limit)
        itemsLeft -= page.items.count
        rest = itemsLeft > 0 ? page.rest : nil
        return page.items.map { WireScanItem(key: $0.key.bytes, value: $0.value, version: Int64($0.version.rawValue)) }
    }

    private nonisolated(nonsending) func page(_ range: KeyRange, limit: Int) async throws(ServiceError) -> ScanPage {
        let (reverse, keysOnly) = (request.reverse, request.keysOnly)
        switch source {
        case .snapshot(let snapshot, let now):
            let version = version
            return try await service.readingStore { tier throws(StoreError) in
                try snapshot.scan(
                    range,
                    reverse: reverse,
                    keysOnly: keysOnly,
                    at: version,
                    now: now,
                    limit: limit,
                    bytesMax: ScanTask.pageBytesMax,
                    tier: tier
                )
            }
        case .core(let question):
            let query = request.query(limit: limit, bytesMax: Node.scanPageBytesMax)
            let (result, served) = try await service.ask(question.page(of: range, at: version, query))
            guard case .page(let page) = result else {
                throw ServiceError(.internal, .internal, "the answer is no page of a scan")
            }
            if isFirst {
                // The first page says which state the others have to be of.
                version = version ?? served.stamp
                snapshotVersion = version ?? .zero
                if request.wantReceipt { receipt = service.receipt(served, arrival) }
            }
            return page
        }
    }
}
