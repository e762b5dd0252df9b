/// The segment files of a directory and the part that each one plays. Looking changes nothing.
///
/// Files in order of their numbers: sealed segments, the active one, then prepared ones without a record.
struct SegmentChain {
    /// Every segment that holds records, at least one; the last is the active one.
    var used: [SegmentFile]
    /// Prepared and unused, in order.
    var standby: [SegmentFile]
    /// Files behind the active segment that never came into use.
    var leftovers: [String]
    /// Where the active segment ends.
    var tail: SegmentTail
    /// Where the segment before it ends, if the active one is still empty: its seal may not be durable yet.
    var predecessorTail: SegmentTail?
}

/// Opens the files of a directory.
struct SegmentChainReader {
    let directory: String
    let fileSystem: any LogFileSystem
    /// Open the files for writing too.
    let writable: Bool

    /// The numbers of all segments, in order, and the names of unfinished files.
    func list() throws(LogError) -> (sequences: [UInt64], unfinished: [String]) {
        let names = try fileSystem.names(in: directory)
        let sequences = names.compactMap { SegmentFormat.sequence(fromName: $0, extension: ".log") }.sorted()
        let unfinished = names.filter { SegmentFormat.sequence(fromName: $0, extension: ".tmp") != nil }
        return (sequences, unfinished.map { directory + "/" + $0 })
    }

    /// Opens all segments and finds the end of the log.
    /// - Returns: `nil` for a directory without a log.
    /// - Throws: `corrupt` when something that was durable is missing or damaged; sealed segments are not read here.
    func open() throws(LogError) -> SegmentChain? {
        let sequences = try list().sequences
        guard !sequences.isEmpty else { return nil }
        for (previous, next) in zip(sequences, sequences.dropFirst()) where next != previous + 1 {
            throw missing(previous + 1)
        }
        var segments: [SegmentFile?] = []
        for sequence in sequences { segments.append(try open(sequence)) }
        var active = try lastInUse(segments)
        if let damaged = segments[...active].firstIndex(where: { $0 == nil }) {
            throw damagedHeader(sequences[damaged])
        }
        var tail = try self.tail(of: segments[active]!)
        var predecessorTail: SegmentTail?
        if tail.sealed {
            active += 1
            guard active < segments.count else { throw missing(sequences[active - 1] + 1) }
            guard let next = segments[active] else { throw damagedHeader(sequences[active]) }
            predecessorTail = tail
            tail = try self.tail(of: next)
        }
        let standby = segments[(active + 1)...].prefix { $0 != nil }.compactMap { $0 }
        let leftovers = sequences[(active + 1 + standby.count)...].map(path)
        return SegmentChain(
            used: segments[...active].compactMap { $0 },
            standby: standby,
            leftovers: leftovers,
            tail: tail,
            predecessorTail: predecessorTail
        )
    }

    /// Opens one segment; `nil` when its header is damaged.
    func open(_ sequence: UInt64) throws(LogError) -> SegmentFile? {
        let file = try fileSystem.open(path(sequence), create: false, writable: writable)
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: SegmentFormat.headerSize, alignment: 8)
        defer { block.deallocate() }
        do throws(LogError) {
            guard try fileSystem.read(file, at: 0, into: block) == block.count,
                let header = try SegmentHeader.decode(UnsafeRawBufferPointer(block), path: file.path),
                header.sequence == sequence
            else {
                fileSystem.close(file)
                return nil
            }
            return SegmentFile(file: file, header: header, fileSystem: fileSystem)
        } catch {
            fileSystem.close(file)
            throw error
        }
    }

    func path(_ sequence: UInt64) -> String {
        directory + "/" + SegmentFormat.fileName(of: sequence)
    }

    /// The last segment that begins with a valid record, or the first one.
    private func lastInUse(_ segments: [SegmentFile?]) throws(LogError) -> Int {
        for index in segments.indices.reversed() {
            if let segment = segments[index], try beginsWithRecord(segment) { return index }
        }
        return 0
    }

    private func beginsWithRecord(_ segment: SegmentFile) throws(LogError) -> Bool {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: RecordHeader.size, alignment: 8)
        defer { block.deallocate() }
        guard try fileSystem.read(segment.file, at: SegmentFormat.headerSize, into: block) == block.count else {
            return false
        }
        let header = RecordHeader.decode(UnsafeRawBufferPointer(block), key: segment.header.key)
        guard header.segment == segment.sequence, header.recordSize <= segment.header.size else { return false }
        return try segment.withRecord(at: SegmentFormat.headerSize, size: header.recordSize) { $0 != nil }
    }

    private func tail(of segment: SegmentFile) throws(LogError) -> SegmentTail {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: segment.header.size, alignment: 4096)
        defer { buffer.deallocate() }
        let scanner = try segment.scanner(using: buffer)
        let tail = scanner.tail()
        if let evidence = tail.evidence {
            throw .corrupt(
                LogCorruption(
                    path: segment.file.path,
                    segment: segment.sequence,
                    offset: tail.end,
                    tablet: scanner.tablet(ofDamagedRecordAt: tail.end),
                    reason: """
                        the record here is damaged, and the one at offset \(evidence) was written after it was durable
                        """
                )
            )
        }
        return tail
    }

    private func missing(_ sequence: UInt64) -> LogError {
        .corrupt(
            LogCorruption(path: path(sequence), segment: sequence, offset: nil, reason: "the segment is missing")
        )
    }

    private func damagedHeader(_ sequence: UInt64) -> LogError {
        .corrupt(
            LogCorruption(path: path(sequence), segment: sequence, offset: 0, reason: "the segment header is damaged")
        )
    }
}
