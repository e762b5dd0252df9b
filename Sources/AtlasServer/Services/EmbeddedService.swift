internal import AtlasCore
package import AtlasProtobuf
internal import AtlasRocksDB
internal import NIOPosix

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
        receipts = ReceiptTranslation(config: node.config)
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
        // A batch that writes nothing reads one snapshot, and needs no log.
        let newest = RequestTranslation.Read(version: nil, minVersion: .zero)
        let point = try await readPoint(.all, newest, arrival, wantsReceipt: request.wantReceipt)
        let snapshot = node.store.snapshot()
        let result = try await readingStore { tier throws(StoreError) in
            try StateMachine.evaluate(command, now: SystemClock.wall()) { key throws(StoreError) in
                try snapshot.record(of: key, at: nil, tier: tier)
            }
        }
        return WireBatchResponse(command, result, receipt: point.map { receipts.read($0.receipt, arrival) })
    }

    private nonisolated(nonsending) func submit(
        _ write: WriteRequest
    ) async throws(ServiceError) -> (CommandResult, Receipt) {
        if let overload = node.overload(for: write.command) { throw ServiceError(overload) }
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
        let point = try await readPoint(range, read, arrival, wantsReceipt: request.wantReceipt)
        let (store, version) = (node.store, read.version)
        let record = try await readingStore { tier throws(StoreError) in
            if let version {
                try store.record(of: key, at: version, tier: tier)
            } else {
                try store.record(of: key, tier: tier)
            }
        }
        var response = WireGetResponse()
        response.receipt = point.map { receipts.read($0.receipt, arrival) }
        if let record, !record.isExpired(at: version?.milliseconds ?? SystemClock.wall()) {
            response.found = true
            response.value = record.value
            response.version = Int64(record.version.rawValue)
        }
        return response
    }

    /// - Returns: a scan at a snapshot that is taken now.
    package nonisolated(nonsending) func scan(
        _ request: WireScanRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> EmbeddedScan {
        let (range, read) = try translation.scan(request)
        let point = try await readPoint(range, read, arrival, wantsReceipt: request.wantReceipt)
        let snapshot = node.store.snapshot()
        do throws(StoreError) {
            let applied = try snapshot.tabletState(of: .first)?.appliedTimestamp ?? .zero
            return EmbeddedScan(
                self,
                request,
                range,
                snapshot: snapshot,
                version: read.version,
                newest: applied,
                receipt: point.map { receipts.read($0.receipt, arrival) }
            )
        } catch {
            throw ServiceError(error)
        }
    }

    /// Waits until the state that a read asks for may be read: not at all where the core has permitted it.
    /// - Returns: the core's word on how the read was served; `nil` where the permit stood in for it.
    private nonisolated(nonsending) func readPoint(
        _ range: KeyRange,
        _ read: RequestTranslation.Read,
        _ arrival: Arrival,
        wantsReceipt: Bool
    ) async throws(ServiceError) -> ReadPoint? {
        guard let question = try node.question(range, read, arrival, wantsReceipt: wantsReceipt) else { return nil }
        let outcome = await withUnsafeContinuation { continuation in
            node.read(question, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
        }
        return try outcome.readPoint(at: node).get()
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

/// A scan of one snapshot, page by page; memory holds one page.
///
/// `@unchecked Sendable`: used by one task at a time.
package final class EmbeddedScan: @unchecked Sendable {
    private let service: EmbeddedService
    private let request: WireScanRequest
    private let snapshot: RocksDBSnapshot
    private let version: Timestamp?
    private let snapshotVersion: Int64
    /// Milliseconds since 1970: what has expired by then is left out.
    private let now: UInt64
    private var receipt: WireReceipt?
    private var rest: KeyRange?
    private var itemsLeft: Int
    private var isFirst = true

    fileprivate init(
        _ service: EmbeddedService,
        _ request: WireScanRequest,
        _ range: KeyRange,
        snapshot: RocksDBSnapshot,
        version: Timestamp?,
        newest: Timestamp,
        receipt: WireReceipt?
    ) {
        self.service = service
        self.request = request
        self.snapshot = snapshot
        self.version = version
        snapshotVersion = Int64((version ?? newest).rawValue)
        now = version?.milliseconds ?? SystemClock.wall()
        self.receipt = receipt
        rest = range.isEmpty ? nil : range
        itemsLeft = request.limit > 0 ? Int(request.limit) : .max
    }

    /// The next page; `nil` behind the last. The first may be empty.
    package nonisolated(nonsending) func nextPage() async throws(ServiceError) -> WireScanResponse? {
        guard rest != nil || isFirst else { return nil }
        var response = WireScanResponse()
        response.snapshotVersion = snapshotVersion
        response.receipt = receipt
        receipt = nil
        if let rest { response.items = try await readPage(rest) }
        defer { isFirst = false }
        return response.items.isEmpty && !isFirst ? nil : response
    }

    private nonisolated(nonsending) func readPage(_ range: KeyRange) async throws(ServiceError) -> [WireScanItem] {
        let pageItems = request.itemsPerMessage == 0 ? ScanTask.pageItemsMax : Int(request.itemsPerMessage)
        let limit = min(itemsLeft, pageItems, ScanTask.pageItemsMax)
        let (snapshot, request, version, now) = (snapshot, request, version, now)
        let page = try await service.readingStore { tier throws(StoreError) in
            try snapshot.scan(
                range,
                reverse: request.reverse,
                keysOnly: request.keysOnly,
                at: version,
                now: now,
                limit: limit,
                bytesMax: ScanTask.pageBytesMax,
                tier: tier
            )
        }
        itemsLeft -= page.items.count
        rest = itemsLeft > 0 ? page.rest : nil
        return page.items.map { WireScanItem(key: $0.key.bytes, value: $0.value, version: Int64($0.version.rawValue)) }
    }
}
