internal import AtlasCore
internal import AtlasLog
internal import Benchmark
internal import Dispatch
internal import Glibc
internal import Synchronization
internal import AtlasTypes

/// A durable append beside the bare system calls that it cannot do without.
func logBenchmarks() {
    let file = Lazy { PreparedFile() }
    Benchmark("Log: pwrite and fdatasync, prepared file", configuration: disk) { benchmark in
        let file = file.value
        benchmark.measure { file.append() }
    }

    let log = Lazy { RunningLog() }
    for count in [1, 64] {
        Benchmark("Log: append \(count) and wait until durable", configuration: disk) { benchmark in
            let log = log.value
            benchmark.measure { log.append(count) }
        }
    }
}

private var disk: Benchmark.Configuration {
    .init(
        metrics: [.wallClock, .throughput, .allocations],
        warmupIterations: 20,
        scalingFactor: .one,
        maxDuration: .seconds(3)
    )
}

/// What the log writes for a put of 16 and 256 bytes.
private let recordBytes = 384
private let body = [UInt8](repeating: 3, count: recordBytes - 64)

private final class PreparedFile {
    private let descriptor: Int32
    private let size = 16 << 20
    private var offset = 0

    init() {
        descriptor = open(Scratch.path(), O_RDWR | O_CREAT, 0o600)
        _ = [UInt8](repeating: 0, count: size).withUnsafeBytes { pwrite(descriptor, $0.baseAddress, size, 0) }
        fsync(descriptor)
    }

    func append() {
        _ = body.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, offset) }
        precondition(fdatasync(descriptor) == 0, "the disk works")
        offset = (offset + recordBytes) % (size - recordBytes)
    }
}

private final class RunningLog {
    /// What the writer thread has reported.
    private final class Durable: Sendable {
        let token = Atomic<UInt64>(0)
        let changed = DispatchSemaphore(value: 0)
    }

    private let log = try! DurableLog.open(directory: Scratch.path())
    private let durable = Durable()
    private var appended: UInt64 = 0

    init() {
        try! log.recover { _, _ in }
        log.start(
            onDurable: { [durable] _, token in
                durable.token.store(token, ordering: .releasing)
                durable.changed.signal()
            },
            onFailure: { fatalError("\($0)") }
        )
    }

    func append(_ count: Int) {
        for _ in 0..<count {
            appended += 1
            let slot = Slot(rawValue: appended)
            let record = LogRecord(
                kind: .entries,
                tablet: .first,
                epoch: 1,
                firstSlot: slot,
                lastSlot: slot,
                body: body
            )
            log.append([record], shard: 0, token: appended, mustSync: true)
        }
        while durable.token.load(ordering: .acquiring) < appended { durable.changed.wait() }
        log.truncate(tablet: .first, epoch: 1, through: Slot(rawValue: appended))
    }
}
