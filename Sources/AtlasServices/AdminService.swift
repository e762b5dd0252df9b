internal import AtlasCore
internal import AtlasLog
internal import AtlasWire
package import AtlasRPC
internal import AtlasRocksDB
internal import Histogram
internal import NIOCore
internal import NIOPosix
internal import SwiftProtobuf
internal import AtlasTypes
package import AtlasNode
internal import AtlasConfiguration
internal import FoundationEssentials

/// The gRPC methods of `atlas.Admin`, about this node and about the cluster. All of it may wait for a disk, so none of it runs on an
/// event loop.
package struct AdminService: Sendable {
    let node: Node
    private let loops: [LoopContext]
    private let rpcStatistics: @Sendable () async -> RPCStatistics

    package init(node: Node, loops: [LoopContext], rpcStatistics: @escaping @Sendable () async -> RPCStatistics) {
        self.node = node
        self.loops = loops
        self.rpcStatistics = rpcStatistics
    }

    package var methods: [RPCMethod] {
        [
            .unary("/atlas.Admin/Stats") { call, message in
                Task {
                    let counted = await count()
                    call.eventLoop.execute { handle(call, message) { (_: Atlas_StatsRequest) in stats(counted) } }
                }
            },
            .unary("/atlas.Admin/Flush") { call, message in
                handleLong(.flush, call, message) { (_: Atlas_FlushRequest) in try flush() }
            },
            .unary("/atlas.Admin/Compact") { call, message in
                handleLong(.rewrite, call, message) { (request: Atlas_CompactRequest) in try compact(request) }
            },
            .unary("/atlas.Admin/CollectGarbage") { call, message in
                handleLong(.rewrite, call, message) { (_: Atlas_CollectGarbageRequest) in try collectGarbage() }
            },
            .unary("/atlas.Admin/Cluster") { call, message in
                handle(call, message) { (_: Atlas_ClusterRequest) in cluster() }
            },
            .unary("/atlas.Admin/ListTablets") { call, message in
                handle(call, message) { (_: Atlas_ListTabletsRequest) in listTablets() }
            },
            .unary("/atlas.Admin/SplitTablet") { call, message in change(call, message, splitTablet) },
            .unary("/atlas.Admin/MoveTablet") { call, message in change(call, message, moveTablet) },
            .unary("/atlas.Admin/PinTablet") { call, message in change(call, message, pinTablet) },
            .unary("/atlas.Admin/ExplainTablet") { call, message in
                handle(call, message) { (request: Atlas_ExplainTabletRequest) in try explainTablet(request) }
            },
            .unary("/atlas.Admin/AddNode") { call, message in change(call, message, addNode) },
            .unary("/atlas.Admin/AddVoter") { call, message in change(call, message, addVoter) },
            .unary("/atlas.Admin/RemoveNode") { call, message in change(call, message, removeNode) },
        ]
    }

    private func handle<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: RPCServerCall,
        _ message: ByteBuffer,
        _ work: @escaping @Sendable (Request) throws -> Response
    ) {
        guard let request: Request = decode(message, call) else { return }
        node.pool.submit { _ in answer(call, Result { try work(request) }) }
    }

    /// The same for work that takes long.
    private func handleLong<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ kind: LongWork.Kind,
        _ call: RPCServerCall,
        _ message: ByteBuffer,
        _ work: @escaping @Sendable (Request) throws -> Response
    ) {
        guard let request: Request = decode(message, call) else { return }
        let isTaken = node.longWork.submit(kind) { isActive in
            let result = Result {
                guard isActive else { throw ServiceError(NodeUnavailable.closing) }
                return try work(request)
            }
            answer(call, result)
        }
        if !isTaken { call.fail(ServiceError.tooMuchLongWork.rpcStatus) }
    }

    private func answer<Response: SwiftProtobuf.Message>(_ call: RPCServerCall, _ result: Result<Response, any Error>) {
        call.eventLoop.execute {
            switch result {
            case .success(let response): call.respond(RPCMessage(response))
            case .failure(let error as StoreError): call.fail(ServiceError(error).rpcStatus)
            case .failure(let error as ServiceError): call.fail(error.rpcStatus)
            case .failure(let error): call.fail(ServiceError(.internal, .internal, "\(error)").rpcStatus)
            }
        }
    }

    /// The same for work that waits for other nodes.
    private func change<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: RPCServerCall,
        _ message: ByteBuffer,
        _ work: @escaping @Sendable (Request, Arrival) async throws(ServiceError) -> Response
    ) {
        guard let request: Request = decode(message, call) else { return }
        let arrival = call.arrival
        Task {
            let result: ServiceResult<Response>
            do throws(ServiceError) {
                result = .success(try await work(request, arrival))
            } catch {
                result = .failure(error)
            }
            call.eventLoop.execute {
                switch result {
                case .success(let response): call.respond(RPCMessage(response))
                case .failure(let error): call.fail(error.rpcStatus)
                }
            }
        }
    }

    /// - Returns: `nil` if the call has failed with that.
    private func decode<Request: SwiftProtobuf.Message>(_ message: ByteBuffer, _ call: RPCServerCall) -> Request? {
        if let request = try? Request(serializedBytes: Array(message.readableBytesView)) { return request }
        call.fail(ServiceError(.invalidArgument, .malformedMessage, "the message cannot be decoded").rpcStatus)
        return nil
    }
}

// MARK: - Work

extension AdminService {
    private func flush() throws -> Atlas_FlushResponse {
        let began = SystemClock.monotonic()
        try node.flush()
        return .with { $0.durationUs = Self.microseconds(since: began) }
    }

    private func compact(_ request: Atlas_CompactRequest) throws -> Atlas_CompactResponse {
        let range = KeyRange(
            start: Key(Array(request.startKey)),
            end: request.endKey.isEmpty ? nil : Key(Array(request.endKey))
        )
        if range.isEmpty { throw ServiceError.invalid("end_key is not above start_key", code: .rangeEmpty) }
        let began = SystemClock.monotonic()
        let before = node.store.statistics().diskBytes
        try node.store.compact(range)
        return .with {
            $0.durationUs = Self.microseconds(since: began)
            $0.bytesBefore = UInt64(before)
            $0.bytesAfter = UInt64(node.store.statistics().diskBytes)
        }
    }

    private func collectGarbage() throws -> Atlas_CollectGarbageResponse {
        let began = SystemClock.monotonic()
        let report = try node.collectGarbage(everything: true)
        return .with {
            $0.durationUs = Self.microseconds(since: began)
            $0.expiredRemoved = UInt64(report.recordsDropped)
            $0.historyRemoved = UInt64(report.historyRowsDropped)
        }
    }

    private static func microseconds(since began: UInt64) -> UInt64 {
        (SystemClock.monotonic() - began) / 1_000
    }
}

// MARK: - Stats

extension AdminService {
    /// What the event loops have counted.
    private struct Counted: Sendable {
        var operations = OperationStatistics()
        var sessions = 0
        var rpc: RPCStatistics
    }

    private func count() async -> Counted {
        var counted = Counted(rpc: await rpcStatistics())
        for loop in loops {
            guard
                let (operations, sessions) = try? await loop.eventLoop.submit({ (loop.statistics, loop.sessions) })
                    .get()
            else { continue }
            counted.operations.add(operations)
            counted.sessions += sessions
        }
        return counted
    }

    private func stats(_ counted: Counted) -> Atlas_StatsResponse {
        .with {
            $0.node = nodeInfo()
            $0.cluster = .with {
                $0.nodes = cluster().nodes.map(\.info)
                $0.totalRegions = Int32(Set(node.members.map(\.region)).count)
                $0.clusterID = node.identity.clusterID
            }
            $0.version = AtlasVersion.current
            $0.startedAt = .init(millisecondsSince1970: node.startedAt.wall)
            $0.uptimeMs = (SystemClock.monotonic() - node.startedAt.monotonic) / 1_000_000
            $0.operations = OperationKind.allCases.compactMap { Self.operation($0, counted.operations[$0]) }
            $0.storage = storage()
            $0.log = log()
            $0.rpc = rpc(counted.rpc, sessions: counted.sessions)
            $0.memory = .init(ProcessMemory.current())
            $0.tablets = tablets()
            $0.moves = moves()
            $0.peers = peers()
        }
    }

    func nodeInfo() -> Atlas_NodeInfo {
        .with {
            $0.nodeID = node.config.node.name
            $0.address = node.config.node.address.description
            $0.regionID = node.config.node.region.rawValue
            $0.isLeader = node.permits.isAnyValid
            $0.lastSeen = .init(millisecondsSince1970: SystemClock.wall())
        }
    }

    private static func operation(
        _ kind: OperationKind,
        _ counters: OperationStatistics.Counters
    ) -> Atlas_OperationStats? {
        guard counters.count > 0 else { return nil }
        return .with {
            $0.kind =
                switch kind {
                case .get: .get
                case .put: .put
                case .delete: .delete
                case .scan: .scan
                case .batch: .batch
                }
            $0.count = counters.count
            $0.errors = counters.errors
            $0.conditionsFailed = counters.conditionsFailed
            $0.latency = .with {
                $0.count = counters.latency.totalCount
                $0.meanUs = UInt64(counters.latency.mean)
                $0.p50Us = counters.latency.valueAtPercentile(50)
                $0.p90Us = counters.latency.valueAtPercentile(90)
                $0.p99Us = counters.latency.valueAtPercentile(99)
                $0.p999Us = counters.latency.valueAtPercentile(99.9)
                $0.maxUs = counters.latency.max
            }
        }
    }

    private func storage() -> Atlas_StorageStats {
        let statistics = node.store.statistics()
        let space = node.space()
        return .with {
            $0.keysEstimate = UInt64(statistics.keysEstimate)
            $0.historyEstimate = UInt64(statistics.historyRowsEstimate)
            $0.tableBytes = UInt64(statistics.tableBytes)
            $0.blobBytes = UInt64(statistics.blobBytes)
            $0.memtableBytes = UInt64(statistics.memtableBytes)
            $0.blockCacheBytes = UInt64(statistics.blockCacheBytes)
            $0.pendingCompactionBytes = UInt64(statistics.pendingCompactionBytes)
            $0.writeStalls = node.counters.writeStalls
            $0.diskReads = node.counters.diskReads
            $0.diskTotalBytes = space.total
            $0.diskFreeBytes = space.free
            $0.diskReserveBytes = UInt64(node.config.node.storage.diskReserve)
            $0.acceptsWrites = node.acceptsWrites
        }
    }

    private func log() -> Atlas_LogStats {
        let statistics = node.logStatistics()
        return .with {
            $0.segments = UInt64(statistics.segments + statistics.standbySegments)
            $0.sizeBytes =
                UInt64(statistics.segments + statistics.standbySegments)
                * UInt64(node.config.node.storage.logSegmentSize)
            $0.appendedRecords = statistics.records
            $0.appendedBytes = statistics.bytesWritten
            $0.syncs = statistics.syncs
            $0.syncLatency = .with {
                $0.count = statistics.syncLatency.count
                $0.meanUs = UInt64(statistics.syncLatency.mean) / 1_000
                $0.p50Us = statistics.syncLatency.percentile(0.5) / 1_000
                $0.p90Us = statistics.syncLatency.percentile(0.9) / 1_000
                $0.p99Us = statistics.syncLatency.percentile(0.99) / 1_000
                $0.p999Us = statistics.syncLatency.percentile(0.999) / 1_000
                $0.maxUs = statistics.syncLatency.max / 1_000
            }
            $0.recycledSegments = statistics.segmentsRecycled
            $0.recoveryMs = node.recoveryMilliseconds
        }
    }

    private func rpc(_ statistics: RPCStatistics, sessions: Int) -> Atlas_RPCStats {
        .with {
            $0.connections = statistics.connectionsOpen
            $0.streams = statistics.streamsOpen
            $0.sessions = UInt64(sessions)
            $0.connectionsTotal = statistics.connectionsOpened
            $0.streamsTotal = statistics.streamsOpened
            $0.receivedBytes = statistics.bytesReceived
            $0.sentBytes = statistics.bytesSent
            $0.connectionsRefused = statistics.connectionsRefused
            $0.streamsRefused = statistics.ended(.resourceExhausted)
        }
    }

    private func peers() -> [Atlas_PeerStats] {
        guard let transport = node.peers else { return [] }
        return transport.others.map { member in
            let counters = transport.traffic[member.id]
            return .with {
                $0.nodeID = member.name
                $0.regionID = member.region.rawValue
                $0.sentBytes = counters.sentBytes
                $0.sentMessages = counters.sentMessages
                $0.receivedBytes = counters.receivedBytes
                $0.receivedMessages = counters.receivedMessages
                $0.droppedMessages = counters.droppedMessages
                $0.queuedBytes = UInt64(counters.queuedBytes)
                $0.sentSnapshotBytes = counters.sentBulkBytes
                $0.linksTotal = counters.connections
            }
        }
    }

    private func tablets() -> [Atlas_TabletStats] {
        node.replicas().map { replica in tablet(replica) }
    }

    func ballot(_ ballot: Ballot) -> Atlas_Ballot {
        .with {
            $0.counter = ballot.counter
            $0.node = node.name(of: ballot.node)
            $0.handoff = ballot.handoff
        }
    }

    func tablet(_ replica: TabletReplica) -> Atlas_TabletStats {
        .with {
            $0.tablet = replica.config.tablet.rawValue
            $0.epoch = replica.config.epoch
            $0.startKey = .init(replica.config.range.start.bytes)
            $0.endKey = .init(replica.config.range.end?.bytes ?? [])
            $0.ownerNode = replica.presumedOwner.map(node.name) ?? ""
            $0.ownerRegion = replica.config.voters.first { $0.node == replica.presumedOwner }?.region.rawValue ?? 0
            $0.ballot = ballot(replica.promised)
            $0.lastSlot = replica.window.last.rawValue
            $0.commitSlot = replica.commitPoint.rawValue
            $0.appliedSlot = replica.applied.appliedSlot.rawValue
            $0.appliedVersion = Int64(replica.applied.appliedTimestamp.rawValue)
            $0.stateHash = replica.applied.stateHash
        }
    }
}

extension Google_Protobuf_Timestamp {
    init(millisecondsSince1970 milliseconds: UInt64) {
        self.init(seconds: Int64(milliseconds / 1_000), nanos: Int32(milliseconds % 1_000) * 1_000_000)
    }
}

extension Atlas_MemoryStats {
    fileprivate init(_ memory: ProcessMemory) {
        self.init()
        residentBytes = memory.residentBytes
        residentPeakBytes = memory.residentPeakBytes
    }
}
