package import AtlasCore
package import AtlasTypes

extension DurableLog {
    /// How often a read looks again when a segment was recycled under it.
    private static let readAttempts = 8

    /// The records that hold entries of the range, in the order of their appends: where two hold the same slot, the last
    /// one counts. Entries that were truncated may be absent.
    ///
    /// What is not in the payload cache is read from the file, so this may wait for the disk.
    /// - Parameter bytesMax: they hold the slots from `first` on for which this is enough, but at least the first record
    ///   and those that overlap with it.
    package func read(
        tablet: TabletID,
        epoch: UInt64,
        from first: Slot,
        through last: Slot,
        bytesMax: Int
    ) throws(LogError) -> [LogRecord] {
        for _ in 0..<Self.readAttempts {
            if let records = try readOnce(tablet, epoch, first, last, bytesMax) { return records }
        }
        // Recycled eight times within microseconds: no. The file itself is damaged.
        let run = state.withLock { $0.index.runs(tablet: tablet, epoch: epoch, from: first, through: last).first }
        let location = run?.location ?? RecordLocation(segment: 0, offset: 0, size: 0)
        throw .corrupt(
            LogCorruption(
                path: directory,
                segment: UInt64(location.segment),
                offset: Int(location.offset),
                tablet: tablet,
                reason: "entries from slot \(first.rawValue) on cannot be read back"
            )
        )
    }

    /// One record by its place; `nil` when it is gone.
    func load(_ location: RecordLocation) throws(LogError) -> LogRecord? {
        let source = state.withLock { state in
            state.segments.contains(UInt64(location.segment)) ? state.source(of: location) : nil
        }
        return try source?.load()
    }

    /// `nil` when a record was gone by the time it was read.
    private func readOnce(
        _ tablet: TabletID,
        _ epoch: UInt64,
        _ first: Slot,
        _ last: Slot,
        _ bytesMax: Int
    ) throws(LogError) -> [LogRecord]? {
        let sources = state.withLock { state -> [RecordSource] in
            var locations: [RecordLocation] = []
            var bytes = 0
            var lastSlot: UInt64 = 0
            for run in state.index.runs(tablet: tablet, epoch: epoch, from: first, through: last) {
                bytes += Int(run.location.size)
                // Never between two that overlap: without the later one, the earlier would count.
                guard locations.isEmpty || bytes <= bytesMax || run.firstSlot <= lastSlot else { break }
                lastSlot = max(lastSlot, run.lastSlot)
                locations.append(run.location)
            }
            return locations.sorted().map { state.source(of: $0) }
        }
        var records: [LogRecord] = []
        for source in sources {
            guard let record = try source.load() else { return nil }
            guard record.kind == .entries, record.tablet == tablet, record.epoch == epoch else { return nil }
            records.append(record)
        }
        return records
    }
}

/// Where a record can be had without the log's lock.
enum RecordSource {
    case memory(LogRecord)
    case file(SegmentFile, RecordLocation)

    func load() throws(LogError) -> LogRecord? {
        switch self {
        case .memory(let record): record
        case .file(let segment, let location):
            try segment.record(at: Int(location.offset), size: Int(location.size))
        }
    }
}

extension LogState {
    /// Of a location that the index names.
    func source(of location: RecordLocation) -> RecordSource {
        if let record = cache[location] { return .memory(record) }
        return .file(segments[UInt64(location.segment)].segment, location)
    }
}
