internal import AtlasCore
internal import AtlasProtobuf
internal import AtlasRocksDB
internal import NIOCore

/// One scan: pages of a snapshot, as fast as whoever reads them takes them. Memory holds one page, however large the
/// range.
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

    /// Items that are read in one go.
    static let pageItemsMax = 1_024
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

    /// A scan whose snapshot has been taken.
    private struct Progress {
        var snapshot: RocksDBSnapshot
        /// What is left; `nil` when nothing is.
        var rest: KeyRange?
        /// The state to read; `nil` is the newest of the snapshot.
        var version: Timestamp?
        var snapshotVersion: Int64
        /// Milliseconds since 1970: what has expired by then is left out.
        var now: UInt64
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
            try service.whenReadable(range, read, arrival, on: loop, wantsReceipt: request.wantReceipt) { readable in
                switch readable {
                case .success(let point): self.begin(range, read, point)
                case .failure(let error): self.finish(.failure(error))
                }
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

    private func begin(_ range: KeyRange, _ read: RequestTranslation.Read, _ point: ReadPoint?) {
        guard !isFinished else { return }
        let snapshot = service.node.store.snapshot()
        do throws(StoreError) {
            let applied = try snapshot.tabletState(of: .first)?.appliedTimestamp ?? .zero
            let version = read.version ?? applied
            scan = Progress(
                snapshot: snapshot,
                rest: range.isEmpty ? nil : range,
                version: read.version,
                snapshotVersion: Int64(version.rawValue),
                now: read.version?.milliseconds ?? SystemClock.wall(),
                receipt: point.map { service.receipts.read($0.receipt, arrival) }
            )
            isBusy = false
            readPages()
        } catch {
            finish(.failure(ServiceError(error)))
        }
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

    /// Reads one page, inline if memory has it; then `isBusy` is false again on return.
    private func readPage(_ rest: KeyRange, _ scan: Progress, room: Int) {
        let limit = min(itemsLeft(scan), pageItems(room: room))
        let (reverse, keysOnly) = (request.reverse, request.keysOnly)
        let inline = Inline()
        service.node.readingStore(on: loop.eventLoop) { tier throws(StoreError) in
            try scan.snapshot.scan(
                rest,
                reverse: reverse,
                keysOnly: keysOnly,
                at: scan.version,
                now: scan.now,
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
        min(Self.pageItemsMax, request.itemsPerMessage == 0 ? room : Int(request.itemsPerMessage))
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
