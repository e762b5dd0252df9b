import AtlasCore
import AtlasLog
import Glibc
import Synchronization
import Testing
import AtlasTypes
import AtlasTestSupport

extension TemporaryDirectory {
    /// The names of the log's segments, in order.
    var segments: [String] {
        ((try? PosixLogFileSystem().names(in: path)) ?? []).filter { $0.hasSuffix(".log") }.sorted()
    }

    func read(_ name: String) throws -> [UInt8] {
        let system = PosixLogFileSystem()
        let file = try system.open(path + "/" + name, create: false, writable: false)
        defer { system.close(file) }
        var bytes = [UInt8](repeating: 0, count: try system.size(of: file))
        _ = try bytes.withUnsafeMutableBytes { try system.read(file, at: 0, into: $0) }
        return bytes
    }

    func write(_ bytes: [UInt8], to name: String) throws {
        let system = PosixLogFileSystem()
        let file = try system.open(path + "/" + name, create: true, writable: true)
        defer { system.close(file) }
        try bytes.withUnsafeBytes { try system.write($0, to: file, at: 0) }
    }

    /// Flips one bit of a file in place.
    func flip(_ bit: Int, in name: String) throws {
        let system = PosixLogFileSystem()
        let file = try system.open(path + "/" + name, create: false, writable: true)
        defer { system.close(file) }
        var byte: [UInt8] = [0]
        _ = try byte.withUnsafeMutableBytes { try system.read(file, at: bit / 8, into: $0) }
        byte[0] ^= 1 << UInt8(bit % 8)
        try byte.withUnsafeBytes { try system.write($0, to: file, at: bit / 8) }
    }

    /// A copy of all files as they are now: what a crash of the process leaves.
    func copy() throws -> TemporaryDirectory {
        let copy = TemporaryDirectory()
        for name in segments { try copy.write(try read(name), to: name) }
        return copy
    }
}

/// What a log reports to its shards.
final class Reports: Sendable {
    struct State {
        var highest: [Int: UInt64] = [:]
        var inOrder = true
        var calls = 0
        var failures: [LogError] = []
    }

    private let state = Mutex(State())

    var now: State { state.withLock { $0 } }

    func start(_ log: DurableLog) {
        log.start(
            onDurable: { shard, token in
                self.state.withLock { state in
                    if token <= state.highest[shard, default: 0] { state.inOrder = false }
                    state.highest[shard] = token
                    state.calls += 1
                }
            },
            onFailure: { error in self.state.withLock { $0.failures.append(error) } }
        )
    }

    func isDurable(_ shard: Int, _ token: UInt64) -> Bool {
        state.withLock { $0.highest[shard, default: 0] >= token }
    }

    @discardableResult
    func wait(_ shard: Int = 0, _ token: UInt64) -> Bool {
        eventually { isDurable(shard, token) }
    }
}

/// Whether `condition` comes true within ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<100_000 {
        if condition() { return true }
        usleep(100)
    }
    return false
}

/// The operating system's files, with faults on demand.
final class FaultyFileSystem: LogFileSystem {
    struct Faults {
        var writeError: Int32?
        var syncError: Int32?
        var allocationError: Int32?
        var openError: Int32?
        var syncDirectoryError: Int32?
        var freeBytes: UInt64?
        var syncMicroseconds: UInt32 = 0
        var bytesRead = 0
        var writes: [(path: String, offset: Int, count: Int)] = []
    }

    let faults = Mutex(Faults())
    private let system = PosixLogFileSystem()
    private let syncs: Bool

    /// - Parameter syncs: whether a sync is one. Tests that end no machine need none, and are much faster without.
    init(syncs: Bool = true) {
        self.syncs = syncs
    }

    func set(_ change: (inout sending Faults) -> Void) {
        faults.withLock { change(&$0) }
    }

    func makeDirectory(_ path: String) throws(LogError) { try system.makeDirectory(path) }
    func names(in directory: String) throws(LogError) -> [String] { try system.names(in: directory) }
    func close(_ file: LogFile) { system.close(file) }
    func size(of file: LogFile) throws(LogError) -> Int { try system.size(of: file) }
    func rename(_ path: String, to newPath: String) throws(LogError) { try system.rename(path, to: newPath) }
    func remove(_ path: String) throws(LogError) { try system.remove(path) }

    func syncDirectory(_ path: String) throws(LogError) {
        if let error = faults.withLock(\.syncDirectoryError) { throw .io(operation: "open", path: path, code: error) }
        if syncs { try system.syncDirectory(path) }
    }

    func open(_ path: String, create: Bool, writable: Bool) throws(LogError) -> LogFile {
        if let error = faults.withLock(\.openError) { throw .io(operation: "open", path: path, code: error) }
        return try system.open(path, create: create, writable: writable)
    }

    func read(
        _ file: LogFile,
        at offset: Int,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(LogError) -> Int {
        let count = buffer.count
        faults.withLock { $0.bytesRead += count }
        return try system.read(file, at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, to file: LogFile, at offset: Int) throws(LogError) {
        let count = bytes.count
        let error = faults.withLock { faults in
            faults.writes.append((file.path, offset, count))
            return faults.writeError
        }
        if let error { throw .io(operation: "pwrite", path: file.path, code: error) }
        try system.write(bytes, to: file, at: offset)
    }

    func sync(_ file: LogFile) throws(LogError) {
        let (error, delay) = faults.withLock { ($0.syncError, $0.syncMicroseconds) }
        if delay > 0 { usleep(delay) }
        if let error { throw .io(operation: "fdatasync", path: file.path, code: error) }
        if syncs { try system.sync(file) }
    }

    func allocate(_ file: LogFile, size: Int) throws(LogError) {
        if let error = faults.withLock(\.allocationError) {
            throw .io(operation: "pwrite", path: file.path, code: error)
        }
        if syncs { return try system.allocate(file, size: size) }
        _ = ftruncate(file.descriptor, off_t(size))
    }

    func freeBytes(in directory: String) throws(LogError) -> UInt64 {
        if let bytes = faults.withLock(\.freeBytes) { return bytes }
        return try system.freeBytes(in: directory)
    }
}

/// Small segments, so that a test fills many.
func smallOptions() -> LogOptions {
    var options = LogOptions()
    options.segmentSize = LogOptions.segmentSizeMin
    options.reserveBytes = LogOptions.segmentSizeMin
    options.diskReserveBytes = 1 << 20
    options.spacePollMilliseconds = 5
    return options
}

func entries(_ tablet: UInt64, _ slots: ClosedRange<UInt64>, _ body: [UInt8]) -> LogRecord {
    LogRecord(
        kind: .entries,
        tablet: TabletID(rawValue: tablet),
        epoch: 1,
        firstSlot: Slot(rawValue: slots.lowerBound),
        lastSlot: Slot(rawValue: slots.upperBound),
        body: body
    )
}

func promise(_ tablet: UInt64, _ body: [UInt8]) -> LogRecord {
    LogRecord(kind: .promise, tablet: TabletID(rawValue: tablet), epoch: 1, body: body)
}

func bytes(_ count: Int, _ seed: UInt64) -> [UInt8] {
    var random = Random(seed: seed)
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
}

struct Visited: Equatable {
    var record: LogRecord
    var position: LogPosition
}

/// Everything that the log visits, in the order in which it was written.
func recovered(_ log: DurableLog) throws -> [Visited] {
    var visited: [Visited] = []
    try log.recover { visited.append(Visited(record: $0, position: $1)) }
    return visited.sorted { $0.position < $1.position }
}

/// Opens a directory, returns its records and closes it.
func records(
    in directory: TemporaryDirectory,
    options: LogOptions = smallOptions()
) throws -> [LogRecord] {
    let log = try DurableLog.open(
        directory: directory.path,
        options: options,
        fileSystem: FaultyFileSystem(syncs: false)
    )
    defer { log.close() }
    return try recovered(log).map(\.record)
}

/// Writes each group as an append of its own, one after the other.
func write(
    _ groups: [[LogRecord]],
    to directory: TemporaryDirectory,
    options: LogOptions = smallOptions()
) throws {
    let log = try DurableLog.open(
        directory: directory.path,
        options: options,
        fileSystem: FaultyFileSystem(syncs: false)
    )
    _ = try recovered(log)
    let reports = Reports()
    reports.start(log)
    defer { log.close() }
    for (index, group) in groups.enumerated() {
        let token = UInt64(index + 1)
        guard log.append(group, shard: 0, token: token, mustSync: false) == .later else { continue }
        try #require(reports.wait(0, token))
    }
}
