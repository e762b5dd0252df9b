/// Makes segment files. A file gets its final name only when its header is durable, so a segment that has a name is
/// whole.
struct SegmentPreparation {
    let directory: String
    let segmentSize: Int
    let fileSystem: any LogFileSystem

    init(directory: String, segmentSize: Int, fileSystem: any LogFileSystem) {
        self.directory = directory
        self.segmentSize = segmentSize
        self.fileSystem = fileSystem
    }

    init(_ log: DurableLog) {
        self.init(directory: log.directory, segmentSize: log.options.segmentSize, fileSystem: log.fileSystem)
    }

    /// A new file, all of its blocks written, because syncs into written blocks are the fast ones.
    func create(sequence: UInt64) throws(LogError) -> SegmentFile {
        let temporary = directory + "/" + SegmentFormat.temporaryName(of: sequence)
        let file = try fileSystem.open(temporary, create: true, writable: true)
        do throws(LogError) {
            try fileSystem.allocate(file, size: segmentSize)
            return try publish(file, sequence: sequence)
        } catch {
            fileSystem.close(file)
            // What is left is also removed at the next start.
            try? fileSystem.remove(temporary)
            throw error
        }
    }

    /// A dead segment under a new number. First it loses its name, durably: at no time does a name stand for a header
    /// with another number.
    func recycle(_ segment: SegmentFile, sequence: UInt64) throws(LogError) -> SegmentFile {
        let temporary = directory + "/" + SegmentFormat.temporaryName(of: sequence)
        try fileSystem.rename(segment.file.path, to: temporary)
        do throws(LogError) {
            try fileSystem.syncDirectory(directory)
            let file = try fileSystem.open(temporary, create: false, writable: true)
            do throws(LogError) {
                return try publish(file, sequence: sequence)
            } catch {
                fileSystem.close(file)
                throw error
            }
        } catch {
            try? fileSystem.remove(temporary)
            throw error
        }
    }

    private func publish(_ file: LogFile, sequence: UInt64) throws(LogError) -> SegmentFile {
        precondition(sequence <= SegmentFormat.sequenceMax, "the log has used up its segment numbers")
        let header = SegmentHeader(sequence: sequence, size: segmentSize, key: UInt64.random(in: .min ... .max))
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: SegmentFormat.headerSize, alignment: 4096)
        defer { block.deallocate() }
        header.encode(into: block)
        try fileSystem.write(UnsafeRawBufferPointer(block), to: file, at: 0)
        try fileSystem.sync(file)
        let path = directory + "/" + SegmentFormat.fileName(of: sequence)
        try fileSystem.rename(file.path, to: path)
        try fileSystem.syncDirectory(directory)
        return SegmentFile(
            file: LogFile(descriptor: file.descriptor, path: path),
            header: header,
            fileSystem: fileSystem
        )
    }
}
