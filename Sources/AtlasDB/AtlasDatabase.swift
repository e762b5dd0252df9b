internal import AtlasWire
internal import Glibc
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOPosix
internal import AtlasTypes
internal import AtlasNode
internal import AtlasServices

/// A database in this process: a node of Atlas DB without a network.
///
/// ```swift
/// let db = try await AtlasDatabase.open(at: "./data")
/// try await db.put("greeting", "hello")
/// await db.close()
/// ```
///
/// It means the same as an ``AtlasStore`` on the other side of a network: the same results, limits and errors. Every
/// read is linearizable. A write is acknowledged when it is durable (see ``Configuration/syncWrites``), and many tasks
/// that write at the same time share a sync of the disk. A task that is cancelled while its write is under way gets the
/// write's result all the same, as that is only a sync of the disk away; nothing new is begun for it.
///
/// A directory is open once at a time, in this process or another.
public final class AtlasDatabase: AtlasStore {
    /// The data directory.
    public let path: String

    private let timeout: Duration
    /// `nil` once it is closed: the store lets go of its files with the last reference.
    private let service: NIOLockedValueBox<EmbeddedService?>

    private init(_ node: Node, path: String, timeout: Duration) {
        self.path = path
        self.timeout = timeout
        service = NIOLockedValueBox(EmbeddedService(node: node))
    }

    deinit {
        guard let closing = takeService().map(Closing.init) else { return }
        NIOThreadPool.singleton.submit { _ in closing.run() }
    }

    /// Opens a data directory, and creates it if there is none. What it holds is recovered first.
    /// - Throws: `cannotOpen`, with the reason in the message and, where a program may act on it, in
    ///   ``AtlasError/Context/openFailure``; `invalidArgument` for a configuration that makes no sense; `cancelled`,
    ///   after which the directory can be opened as before.
    public static func open(
        at path: String,
        configuration: Configuration = Configuration()
    ) async throws(AtlasError) -> AtlasDatabase {
        let config = try configuration.nodeConfiguration(path: path)
        let logger = Logger(label: "atlas-db")
        do {
            let group = MultiThreadedEventLoopGroup.singleton
            let node = try await Node.open(config, group: group, logger: logger) { reason in
                logger.critical("the database has failed", metadata: ["reason": "\(reason)", "path": "\(path)"])
            }
            return AtlasDatabase(node, path: path, timeout: configuration.timeout)
        } catch is CancellationError {
            throw AtlasError(.cancelled, "the task was cancelled")
        } catch {
            var context = AtlasError.Context()
            context.openFailure = (error as? NodeError).flatMap { AtlasError.OpenFailure($0.kind) }
            throw AtlasError(.cannotOpen, "cannot open the database in \(path): \(error)", context: context)
        }
    }

    /// Makes everything durable and releases the directory. What is under way fails with `shuttingDown`, what comes
    /// later with `closed`. An iterator of a scan that is still there keeps the directory in use. Without `close`, the
    /// database closes some time after the last reference to it goes.
    public func close() async {
        guard let closing = takeService().map(Closing.init) else { return }
        // Not with `runIfActive`, which does nothing in a task that has been cancelled.
        await withUnsafeContinuation { continuation in
            NIOThreadPool.singleton.submit { _ in
                closing.run()
                continuation.resume()
            }
        }
    }

    private func takeService() -> EmbeddedService? {
        service.withLockedValue { service in
            defer { service = nil }
            return service
        }
    }
}

/// Closes a node to the end: until the store has let go of its files, which it does with its last reference.
///
/// `@unchecked Sendable`: handed over once.
private final class Closing: @unchecked Sendable {
    private var service: EmbeddedService?

    init(_ service: EmbeddedService) {
        self.service = service
    }

    /// Waits for the disk.
    func run() {
        guard var store = service?.node.store else { return }
        service?.node.close()
        service = nil
        // A call that is being answered just now holds the store for a moment longer; a scan may do so for ever.
        for _ in 0..<Self.checksMax where !isKnownUniquelyReferenced(&store) {
            usleep(1_000)
        }
    }

    private static let checksMax = 1_000
}

// MARK: - Operations

extension AtlasDatabase {
    public func get(_ key: Bytes, options: GetOptions) async throws(AtlasError) -> Entry? {
        let (service, arrival) = try begin(options.timeout)
        let request = try WireGetRequest(key, options)
        do throws(ServiceError) {
            return Entry(key, try await service.get(request, arrival))
        } catch {
            throw AtlasError(error)
        }
    }

    @discardableResult
    public func put(_ key: Bytes, _ value: Bytes, options: PutOptions) async throws(AtlasError) -> Written {
        let (service, arrival) = try begin(options.timeout)
        let request = try WirePutRequest(key, value, options, requestID: nil)
        let response: WirePutResponse
        do throws(ServiceError) {
            response = try await service.put(request, arrival)
        } catch {
            throw AtlasError(error)
        }
        return try Written(key, response)
    }

    @discardableResult
    public func delete(_ key: Bytes, options: DeleteOptions) async throws(AtlasError) -> Deleted {
        let (service, arrival) = try begin(options.timeout)
        let request = WireDeleteRequest(key, options, requestID: nil)
        let response: WireDeleteResponse
        do throws(ServiceError) {
            response = try await service.delete(request, arrival)
        } catch {
            throw AtlasError(error)
        }
        return try Deleted(key, response)
    }

    public func scan(_ range: ScanRange, options: ScanOptions) -> Scan {
        Scan { LocalScan(self, range, options) }
    }

    @discardableResult
    public func batch(_ batch: Batch, options: BatchOptions) async throws(AtlasError) -> BatchResult {
        let (service, arrival) = try begin(options.timeout)
        let request = try WireBatchRequest(batch, options, requestID: nil)
        let response: WireBatchResponse
        do throws(ServiceError) {
            response = try await service.batch(request, arrival)
        } catch {
            throw AtlasError(error)
        }
        return try BatchResult(batch, response)
    }

    fileprivate func beginScan(
        _ range: ScanRange,
        _ options: ScanOptions
    ) async throws(AtlasError) -> EmbeddedScan {
        let (service, arrival) = try begin(options.timeout)
        let request = try WireScanRequest(range, options)
        do throws(ServiceError) {
            return try await service.scan(request, arrival)
        } catch {
            throw AtlasError(error)
        }
    }

    /// Begins a call, unless nobody would wait for its answer.
    private func begin(_ timeout: Duration?) throws(AtlasError) -> (EmbeddedService, Arrival) {
        guard let service = service.withLockedValue({ $0 }) else {
            throw AtlasError(.closed, "the database in \(path) has been closed")
        }
        if Task.isCancelled { throw AtlasError(.cancelled, "the task was cancelled") }
        let timeout = timeout ?? self.timeout
        guard timeout > .zero else { throw AtlasError(.deadlineExceeded, "the call's timeout is \(timeout)") }
        return (service, Arrival(timeRemaining: timeout.boundedNanoseconds))
    }
}

extension AtlasError.OpenFailure {
    fileprivate init?(_ kind: NodeError.Kind) {
        switch kind {
        case .directoryInUse: self = .directoryInUse
        case .directoryUnusable: self = .directoryUnusable
        case .otherNode: self = .otherNode
        case .missingPart: self = .missingPart
        case .mixedParts: self = .mixedParts
        case .damaged: self = .damaged
        case .newerFormat: self = .newerFormat
        case .diskFull: self = .diskFull
        case .cannotListen, .removed, .failed: return nil
        }
    }
}

extension AtlasError {
    fileprivate init(_ error: ServiceError) {
        self.init(status: error.status, error.detail)
    }
}

/// One scan of an embedded database.
///
/// `@unchecked Sendable`: used by one consumer at a time.
private final class LocalScan: Scan.Source, @unchecked Sendable {
    private enum Stage {
        case begin(ScanRange, ScanOptions)
        case pages(EmbeddedScan)
        case over
    }

    private let database: AtlasDatabase
    private var stage: Stage

    init(_ database: AtlasDatabase, _ range: ScanRange, _ options: ScanOptions) {
        self.database = database
        stage = .begin(range, options)
    }

    func nextPage() async throws(AtlasError) -> Scan.Page? {
        do throws(AtlasError) {
            guard let scan = try await scan(), let response = try await page(of: scan) else {
                stage = .over
                return nil
            }
            return Scan.Page(response)
        } catch {
            stage = .over
            throw error
        }
    }

    func cancel() {}

    private func scan() async throws(AtlasError) -> EmbeddedScan? {
        switch stage {
        case .begin(let range, let options):
            let scan = try await database.beginScan(range, options)
            stage = .pages(scan)
            return scan
        case .pages(let scan): return scan
        case .over: return nil
        }
    }

    private func page(of scan: EmbeddedScan) async throws(AtlasError) -> WireScanResponse? {
        if Task.isCancelled { throw AtlasError(.cancelled, "the task was cancelled") }
        do throws(ServiceError) {
            return try await scan.nextPage()
        } catch {
            throw AtlasError(error)
        }
    }
}

// MARK: - Maintenance

extension AtlasDatabase {
    /// Writes everything that has been applied to the store's files, so that the log before it can be recycled and the
    /// next start is quick. Happens by itself from time to time; nothing depends on it.
    public func flush() async throws(AtlasError) {
        try await maintaining(.flush) { try $0.node.flush() }
    }

    /// Rewrites the store's files without what is no longer needed. Happens by itself, bit by bit.
    public func compact() async throws(AtlasError) {
        try await maintaining(.rewrite) { try $0.compact() }
    }

    /// Removes expired keys, and history that is no longer retained. Happens by itself from time to time.
    public func collectGarbage() async throws(AtlasError) {
        try await maintaining(.rewrite) { _ = try $0.node.collectGarbage(everything: true) }
    }

    private func maintaining(
        _ kind: LongWork.Kind,
        _ work: @escaping @Sendable (EmbeddedService) throws -> Void
    ) async throws(AtlasError) {
        let (service, _) = try begin(nil)
        do {
            try await service.node.longWork.run(kind) { try work(service) }
        } catch is LongWork.Busy {
            throw AtlasError(ServiceError.tooMuchLongWork)
        } catch {
            throw AtlasError(.internal, "the store in \(path) failed: \(error)")
        }
    }
}
