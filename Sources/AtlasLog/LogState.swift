internal import AtlasCore
internal import AtlasTypes

/// What has been written, what of it is durable, and what of it matters. Behind the log's state lock.
struct LogState {
    let fileSystem: any LogFileSystem
    var segments: SegmentTable
    /// Prepared segments that follow the active one, in order.
    var standby: [SegmentFile]
    /// The active segment is synced through this offset.
    var durableEnd: Int
    /// The active segment was sealed and its successor is not yet in place: nobody may write.
    var rolling = false
    var closing = false
    /// The last attempt to prepare a segment found no space.
    var allocationFailed = false
    /// Set once; from then on nothing is written.
    var failure: LogError?
    /// Bytes ever written, and how many of them are durable: tells when what superseded a record is durable.
    var writtenBytes: UInt64 = 0
    var durableBytes: UInt64 = 0
    var index = LogIndex()
    var cache: PayloadCache
    var statistics = LogStatistics()
    private var buffer = EncodingBuffer()

    init(
        fileSystem: any LogFileSystem,
        segments: SegmentTable,
        standby: [SegmentFile],
        options: LogOptions
    ) {
        self.fileSystem = fileSystem
        self.segments = segments
        self.standby = standby
        durableEnd = segments.active.end
        cache = PayloadCache(bytesMax: options.payloadCacheBytes)
    }

    /// A write is cut here, which bounds the buffer.
    private static let writeSizeMax = 4 << 20

    /// Bytes left in the active segment, the room for its seal set aside.
    private var room: Int {
        segments.active.segment.header.size - segments.active.end - buffer.count - RecordHeader.size
    }

    /// Bytes that can be written before another segment must be prepared.
    var preparedBytes: Int {
        standby.reduce(room) { $0 + $1.header.size }
    }

    /// Writes as many of `submissions` as fit in the active segment, from `start` on.
    /// - Returns: the index of the first one that did not fit.
    mutating func write(_ submissions: [Submission], from start: Int) throws(LogError) -> Int {
        var next = start
        while next < submissions.count, encode(submissions[next].records) {
            if buffer.count >= Self.writeSizeMax { try flush() }
            next += 1
        }
        try flush()
        if next > start {
            statistics.appends += UInt64(next - start)
            statistics.batchSize.record(UInt64(next - start))
        }
        return next
    }

    /// Writes one group.
    /// - Returns: false, and nothing is written, if it does not fit in the active segment or nobody may write now.
    mutating func write(group records: [LogRecord]) throws(LogError) -> Bool {
        guard failure == nil, !rolling, encode(records) else { return false }
        try flush()
        return true
    }

    /// Ends the active segment. Its successor must be durable already.
    mutating func seal() throws(LogError) {
        precondition(!standby.isEmpty && !rolling, "a sealed segment has a successor")
        let header = header(kind: RecordHeader.sealKind, bodyLength: 0, endsGroup: true)
        buffer.append(header, body: [], key: segments.active.segment.header.key)
        try flush()
        rolling = true
    }

    /// Moves on to the next segment. The sealed one must be synced.
    mutating func advance() {
        precondition(
            rolling && durableEnd == segments.active.end,
            "a sealed segment is durable before the next is used"
        )
        segments.append(standby.removeFirst())
        durableEnd = SegmentFormat.headerSize
        rolling = false
        statistics.segmentsFilled += 1
    }

    /// Takes note of a sync that began when `written` bytes had been written, `end` of them in the active segment.
    mutating func synced(through end: Int, written: UInt64, nanoseconds: UInt64) {
        durableEnd = max(durableEnd, end)
        durableBytes = max(durableBytes, written)
        statistics.syncLatency.record(nanoseconds)
    }

    /// Puts a group into the buffer and the index; false if it does not fit.
    private mutating func encode(_ records: [LogRecord]) -> Bool {
        var size = 0
        for record in records { size += record.recordSize }
        guard size <= room else { return false }
        let active = segments.active
        for (position, record) in records.enumerated() {
            let location = RecordLocation(
                segment: active.segment.sequence,
                offset: active.end + buffer.count,
                size: record.recordSize
            )
            var header = header(
                kind: record.kind.rawValue,
                bodyLength: record.body.count,
                endsGroup: position == records.count - 1
            )
            header.tablet = record.tablet.rawValue
            header.epoch = record.epoch
            header.firstSlot = record.firstSlot.rawValue
            header.lastSlot = record.lastSlot.rawValue
            buffer.append(header, body: record.body, key: active.segment.header.key)
            index.insert(record, at: location, in: &segments)
            if record.kind == .entries { cache.insert(record, at: location) }
        }
        statistics.records += UInt64(records.count)
        return true
    }

    private func header(kind: UInt8, bodyLength: Int, endsGroup: Bool) -> RecordHeader {
        RecordHeader(
            bodyLength: UInt32(bodyLength),
            durable: UInt32(durableEnd),
            segment: segments.active.segment.sequence,
            kind: kind,
            endsGroup: endsGroup,
            tablet: 0,
            epoch: 0,
            firstSlot: 0,
            lastSlot: 0
        )
    }

    /// Writes what the buffer holds behind the records of the active segment.
    private mutating func flush() throws(LogError) {
        guard buffer.count > 0 else { return }
        let active = segments.active
        try fileSystem.writePatiently(buffer.bytes, to: active.segment.file, at: active.end)
        segments.active.end += buffer.count
        writtenBytes += UInt64(buffer.count)
        statistics.bytesWritten += UInt64(buffer.count)
        buffer.removeAll()
    }
}

/// Memory that records are encoded into, reused from write to write.
///
/// `@unchecked Sendable`: confined to the log's state lock.
private final class EncodingBuffer: @unchecked Sendable {
    private var storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private(set) var count = 0

    deinit {
        storage.deallocate()
    }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: storage[..<count])
    }

    func append(_ header: RecordHeader, body: [UInt8], key: UInt64) {
        let size = header.recordSize
        if count + size > storage.count { grow(to: count + size) }
        let target = UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + size])
        body.withUnsafeBytes { header.encode(body: $0, key: key, into: target) }
        count += size
    }

    func removeAll() {
        count = 0
    }

    private func grow(to size: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(size, 2 * storage.count), alignment: 4096)
        larger.copyMemory(from: bytes)
        storage.deallocate()
        storage = larger
    }
}
