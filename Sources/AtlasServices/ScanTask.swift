internal import AtlasCore
internal import AtlasWire
internal import AtlasRPC
internal import AtlasRocksDB
internal import NIOCore
internal import AtlasTypes
internal import AtlasNode

/// One scan: pages of one state, as fast as whoever reads them takes them. Memory holds one page, however large the range.
///
/// The pages come from a snapshot where this node may read all of the range by itself; otherwise the core has each of them
/// served by whoever can, all at the version of the first.
///
/// `@unchecked Sendable`: confined to the event loop of its call.
final class ScanTask: @unchecked Sendable {
    /// Where the results go; called on the loop.
    protocol Sink: AnyObject {
        /// How many messages may be sent now. When there is room again the sink calls `resume`.
        var room: Int { get }
        func send(_ response: WireScanResponse)
        func finish(_ result: ServiceResult<WireSessionScanEnd>)
    }

    /// Bytes of keys and values that are read in one go, unless one item has more.
    static let pageBytesMax = 64 << 10
    /// Pages after which others on the loop get their turn.
    private static let pagesPerTurn = 4

    private let service: KeyValueService
    private let request: WireScanRequest
    private let arrival: Arrival
    private let loop: LoopContext
    private weak var sink: (any Sink)?
    private var scan: Progress?
    /// A page is being read, or the next turn is arranged.
    private var isBusy = true
    private var isFinished = false

    private enum Source {
        /// - now: milliseconds since 1970: what has expired by then is left out.
        case snapshot(RocksDBSnapshot, now: UInt64)
        /// The next page is asked for like this, but for its range and its bounds.
        case core(ReadRequest)
    }

    private struct Progress {
        var source: Source
        /// What is left; `nil` when nothing is.
        var rest: KeyRange?
        /// The state to read; `nil` is the newest.
        var version: Timestamp?
        /// Zero before the first page has come.
        var snapshotVersion: Int64 = 0
        var receipt: WireReceipt?
        var sentMessages = 0
        var sentItems: UInt64 = 0
    }

    init(_ request: WireScanRequest, _ arrival: Arrival, service: KeyValueService, on loop: LoopContext, sink: any Sink)
    {
        self.request = request
        self.arrival = arrival
        self.service = service
        self.loop = loop
        self.sink = sink
    }

    func start() {
        do throws(ServiceError) {
            let (range, read) = try service.translation.scan(request)
            let way = try service.node.way(
                range,
                read,
                arrival,
                query: .scan(request.query()),
                wantsReceipt: request.wantReceipt
            )
            switch way {
            case .permitted(let permit):
                guard read.version == nil, permit.isBehind else { return begin(range, read, permit) }
                service.ask(.time(of: range, arrival), on: loop) { [self] result in
                    switch result {
                    case .success: begin(range, read, permit)
                    case .failure(let error): finish(.failure(error))
                    }
                }
            case .ask(let question): begin(range, asking: question)
            }
        } catch {
            finish(.failure(error))
        }
    }

    /// Goes on where the sink has room again.
    func resume() {
        guard !isBusy else { return }
        readPages()
    }

    /// Nobody wants the rest any more.
    func cancel() {
        guard !isFinished else { return }
        isFinished = true
        scan = nil
        loop.record(.scan, .error, since: arrival)
    }

    private func begin(_ range: KeyRange, _ read: RequestTranslation.Read, _ permit: ReadPermit) {
        guard !isFinished else { return }
        let time = permit.time
        let snapshot = service.node.store.snapshot()
        if permit.isGone {
            return begin(range, asking: read.request(range, arrival, .scan(request.query())))
        }
        do throws(StoreError) {
            let now = try snapshot.readTime(of: permit.key.tablet, from: time, at: read.version).timestamp
            scan = Progress(
                source: .snapshot(snapshot, now: now.milliseconds),
                rest: range.isEmpty ? nil : range,
                version: read.version,
                snapshotVersion: Int64(now.rawValue)
            )
            isBusy = false
            readPages()
        } catch {
            finish(.failure(ServiceError(error)))
        }
    }

    private func begin(_ range: KeyRange, asking question: ReadRequest) {
        scan = Progress(
            source: .core(question),
            rest: range.isEmpty ? nil : range,
            version: question.version,
            snapshotVersion: Int64(question.version?.rawValue ?? 0)
        )
        isBusy = false
        readPages()
    }
}

// MARK: - Pages

extension ScanTask {
    private func readPages() {
        for _ in 0..<Self.pagesPerTurn {
            guard !isFinished, !isBusy, let scan, let sink, sink.room > 0 else { return }
            guard let rest = scan.rest, itemsLeft(scan) > 0 else { return complete(scan) }
            isBusy = true
            readPage(rest, scan, room: sink.room)
        }
        guard !isBusy, !isFinished else { return }
        isBusy = true
        loop.eventLoop.execute {
            self.isBusy = false
            self.readPages()
        }
    }

    /// Reads one page; where memory has it, `isBusy` is false again on return.
    private func readPage(_ rest: KeyRange, _ scan: Progress, room: Int) {
        let limit = min(itemsLeft(scan), pageItems(room: room))
        switch scan.source {
        case .snapshot(let snapshot, let now):
            readPage(rest, at: scan.version, of: snapshot, now: now, limit: limit)
        case .core(let question):
            let query = request.query(limit: limit, bytesMax: Node.scanPageBytesMax)
            service.ask(question.page(of: rest, at: scan.version, query), on: loop) { [self] result in
                isBusy = false
                switch result {
                case .success((.page(let page), let receipt)):
                    noteSource(receipt)
                    take(page)
                case .success: finish(.failure(.init(.internal, .internal, "the answer is no page of a scan")))
                case .failure(let error): finish(.failure(error))
                }
                readPages()
            }
        }
    }

    /// The first page says which state the others have to be of.
    private func noteSource(_ receipt: Receipt) {
        guard var scan, scan.version == nil || scan.receipt == nil && scan.sentMessages == 0 else { return }
        scan.version = scan.version ?? receipt.stamp
        scan.snapshotVersion = Int64(scan.version?.rawValue ?? 0)
        if request.wantReceipt, scan.sentMessages == 0 { scan.receipt = service.receipts.read(receipt, arrival) }
        self.scan = scan
    }

    private func readPage(
        _ rest: KeyRange,
        at version: Timestamp?,
        of snapshot: RocksDBSnapshot,
        now: UInt64,
        limit: Int
    ) {
        let (reverse, keysOnly) = (request.reverse, request.keysOnly)
        let inline = Inline()
        service.node.readingStore(on: loop.eventLoop) { tier throws(StoreError) in
            try snapshot.scan(
                rest,
                reverse: reverse,
                keysOnly: keysOnly,
                at: version,
                now: now,
                limit: limit,
                bytesMax: Self.pageBytesMax,
                tier: tier
            )
        } then: { [self] result in
            isBusy = false
            switch result {
            case .success(let page): take(page)
            case .failure(let error): finish(.failure(error))
            }
            if !inline.isRunning { readPages() }
        }
        inline.isRunning = false
    }

    /// Whether `readPage` has not returned yet.
    ///
    /// `@unchecked Sendable`: touched on the loop alone.
    private final class Inline: @unchecked Sendable {
        var isRunning = true
    }

    private func take(_ page: ScanPage) {
        guard !isFinished, var scan, let sink else { return }
        scan.rest = page.rest
        scan.sentItems += UInt64(page.items.count)
        if request.itemsPerMessage > 0 {
            if !page.items.isEmpty { sink.send(message(of: page.items, &scan)) }
        } else {
            for item in page.items { sink.send(message(of: item, &scan)) }
        }
        self.scan = scan
    }

    private func complete(_ scan: Progress) {
        var scan = scan
        if scan.sentMessages == 0, request.itemsPerMessage > 0 || request.wantReceipt {
            sink?.send(message(of: [], &scan))
        }
        finish(.success(WireSessionScanEnd(snapshotVersion: scan.snapshotVersion, items: scan.sentItems)))
    }

    private func finish(_ result: ServiceResult<WireSessionScanEnd>) {
        guard !isFinished else { return }
        isFinished = true
        scan = nil
        loop.record(.scan, result, since: arrival)
        sink?.finish(result)
    }

    private func itemsLeft(_ scan: Progress) -> Int {
        request.limit == 0 ? .max : Int(request.limit) - Int(scan.sentItems)
    }

    private func pageItems(room: Int) -> Int {
        min(Node.scanPageItemsMax, request.itemsPerMessage == 0 ? room : Int(request.itemsPerMessage))
    }

    private func message(of items: [ScanPage.Item], _ scan: inout Progress) -> WireScanResponse {
        var response = header(&scan)
        response.items = items.map {
            WireScanItem(key: $0.key.bytes, value: $0.value, version: Int64($0.version.rawValue))
        }
        return response
    }

    private func message(of item: ScanPage.Item, _ scan: inout Progress) -> WireScanResponse {
        var response = header(&scan)
        response.key = item.key.bytes
        response.value = item.value
        response.version = Int64(item.version.rawValue)
        return response
    }

    private func header(_ scan: inout Progress) -> WireScanResponse {
        var response = WireScanResponse()
        response.snapshotVersion = scan.snapshotVersion
        response.receipt = scan.receipt
        scan.receipt = nil
        scan.sentMessages += 1
        return response
    }
}
