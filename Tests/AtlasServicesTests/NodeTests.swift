import AtlasCore
import AtlasLog
import AtlasWire
import AtlasRocksDB
import Foundation
import Logging
import NIOPosix
import Testing

@testable import AtlasServices
@testable import AtlasNode
import AtlasTypes
import AtlasTestSupport
import AtlasConfiguration

/// One node on a real disk: what it answers, and what it remembers.
@Suite struct NodeTests {
    @Test func writesAreReadAndSurviveARestart() async throws {
        let directory = TemporaryDirectory()
        let first = try await TestNode.open(directory)
        let written = try await first.put("a", "1")
        #expect(try first.value("a") == "1")
        let identity = first.node.identity
        await first.close()

        let second = try await TestNode.open(directory)
        #expect(try second.value("a") == "1")
        let rewritten = try await second.put("a", "2")
        #expect(rewritten > written)
        #expect(second.node.identity == identity)
        await second.close()
    }

    @Test func whatWasNotFlushedIsReplayedFromTheLog() async throws {
        let directory = TemporaryDirectory()
        let first = try await TestNode.open(directory)
        for number in 0..<200 { _ = try await first.put("k\(number % 50)", "v\(number)") }
        let before = first.node.replicas()[0].applied
        let image = try first.crashImage(of: directory)
        await first.close()

        let second = try await TestNode.open(image)
        // An answer means that the restarted owner has settled what the last one left undecided.
        try await second.put("another", "key")
        #expect(second.node.replicas()[0].applied.appliedSlot > before.appliedSlot)
        for key in 0..<50 { #expect(try second.value("k\(key)") == "v\(150 + key)") }
        await second.close()
    }

    @Test func flushLetsTheLogGo() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory) { $0.node.storage.logSegmentSize = 1 << 20 }
        let value = String(repeating: "x", count: 60_000)
        for number in 0..<60 { _ = try await node.put("k\(number)", value) }
        try node.node.flush()
        for number in 0..<60 { _ = try await node.put("k\(number)", value) }
        try node.node.flush()
        #expect(node.node.logStatistics().bytesLive < 2 << 20)
        await node.close()
    }

    /// A node that is written to little flushes its store for that alone: until then its core keeps the epoch.
    @Test func anEndedEpochIsForgottenOnceTheStoreHasWhatFollows() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        try await node.put("a", "1")
        let outcome = await node.administer(
            AdminRequest(key: Key(Array("a".utf8)), action: .split(at: Key(Array("m".utf8))))
        )
        guard case .sealed(let successors) = outcome else { throw TestNode.Unexpected(outcome: outcome) }
        #expect(successors.count == 2)
        #expect(node.node.inspect { $0.retired.count } == 1)

        try node.node.maintenance.flushForEnded()
        let end = ContinuousClock.now + .seconds(20)
        while node.node.inspect({ $0.retired.count }) != 0, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(node.node.inspect { $0.retired.count } == 0)
        #expect(try node.value("a") == "1")
        await node.close()
    }

    /// The log moves the last live records of an old segment behind newer ones, which may be the last thing it does.
    @Test func aRestartFindsWhatTheLogMovedToItsEnd() async throws {
        let directory = TemporaryDirectory()
        let first = try await TestNode.open(directory)
        let value = String(repeating: "x", count: 60_000)
        for number in 0..<16 { try await first.put("k\(number)", value) }
        try first.node.flush()
        // One in the old segment, and one in the new.
        for number in 16..<18 { try await first.put("k\(number)", value) }
        let deadline = ContinuousClock.now + .seconds(30)
        while first.node.logStatistics().segmentsRecycled == 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(first.node.logStatistics().recordsMoved > 0)
        let image = try first.crashImage(of: directory)
        await first.close()

        let second = try await TestNode.open(image)
        try await second.put("another", "key")
        for number in 0..<18 { #expect(try second.value("k\(number)") == value) }
        await second.close()
    }

    /// Commands share an entry as long as it fits in a segment.
    @Test func largeWritesAtOnceFitInASmallSegment() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        let value = String(repeating: "x", count: 149_700)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 { group.addTask { try await node.put("k\(number)", value) } }
            try await group.waitForAll()
        }
        #expect(try node.value("k39") == value)
        await node.close()
    }

    /// After a second crash the commit point is where it was, not where the first crash left it.
    @Test func aSecondCrashFindsLittleUndecided() async throws {
        let directory = TemporaryDirectory()
        let first = try await TestNode.open(directory)
        for number in 0..<20 { try await first.put("k\(number)", "1") }
        let firstImage = try first.crashImage(of: directory)
        await first.close()
        let second = try await TestNode.open(firstImage)
        let value = String(repeating: "x", count: 1_000)
        for number in 0..<300 { try await second.put("k\(number)", value) }
        let secondImage = try second.crashImage(of: firstImage)
        await second.close()

        let third = try await TestNode.open(secondImage)
        try await third.put("another", "key")
        // What is undecided is written again, and that is one entry or two.
        #expect(third.node.logStatistics().bytesWritten < 10_000)
        await third.close()
    }

    @Test func aRetryTakesEffectOnceAcrossARestart() async throws {
        let directory = TemporaryDirectory()
        let id = RequestID(milliseconds: SystemClock.wall(), random: (1, 2))
        let window: (inout AtlasConfiguration) -> Void = { $0.cluster.retention.historyTTL = .seconds(3600) }
        let first = try await TestNode.open(directory, window)
        let version = try await first.put("a", "1", id: id)
        _ = try await first.put("a", "2")
        let image = try first.crashImage(of: directory)
        await first.close()

        let second = try await TestNode.open(image, window)
        #expect(try await second.put("a", "1", id: id) == version)
        #expect(try second.value("a") == "2")
        await second.close()
    }

    @Test func aGlobalWriteOfTheOnlyNodeIsAnsweredLikeALocalOne() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        let put = Command(operations: [Operation(.put(value: [1], ttl: 0), key: Key([1]))])
        let outcome = await node.write(WriteRequest(command: put, level: .global))
        #expect(try outcome.written(at: node.node).get().1.regions == [RegionID(rawValue: 1)])
        await node.close()
    }

    @Test func aCommandThatComesTooLateChangesNothing() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        let operation = Operation(.put(value: [1], ttl: 0), key: Key(Array("a".utf8)))
        let late = Command(operations: [operation], expiry: Timestamp(milliseconds: 1))
        let outcome = await node.write(WriteRequest(command: late))
        guard case .failure(let error) = outcome.written(at: node.node) else { return #expect(Bool(false)) }
        #expect(error.detail.code == .deadlineExceeded)
        #expect(!error.detail.outcomeUnknown)
        #expect(try node.value("a") == nil)
        await node.close()
    }

    @Test func stampsGoOnAboveThoseBeforeARestart() async throws {
        let directory = TemporaryDirectory()
        let first = try await TestNode.open(directory)
        let written = try await first.put("a", "1")
        let image = try first.crashImage(of: directory)
        await first.close()
        let second = try await TestNode.open(image)
        #expect(try await second.put("a", "2") > written)
        await second.close()
    }

    // MARK: - Directories that must not be used

    @Test func aDirectoryInUseIsRefused() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        let error = await #expect(throws: NodeError.self) { _ = try await TestNode.open(directory) }
        #expect(error?.kind == .directoryInUse)
        await node.close()
    }

    @Test func anotherNodesDirectoryIsRefused() async throws {
        let directory = TemporaryDirectory()
        await (try await TestNode.open(directory)).close()
        let error = await #expect(throws: NodeError.self) {
            _ = try await TestNode.open(directory) { $0.node.name = "somebody-else" }
        }
        #expect(error?.kind == .otherNode)
        #expect(error?.description.contains("belongs to node \"atlas-node-1\"") == true)
    }

    @Test(arguments: ["log", "store"])
    func aDirectoryThatLostAPartIsRefused(part: String) async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        _ = try await node.put("a", "1")
        await node.close()
        try FileManager.default.removeItem(atPath: directory.path + "/data/" + part)
        let error = await #expect(throws: NodeError.self) { _ = try await TestNode.open(directory) }
        #expect(error?.kind == .missingPart)
        #expect(error?.description.contains("missing") == true)
    }

    @Test func partsOfDifferentNodesAreRefused() async throws {
        let directories = [TemporaryDirectory(), TemporaryDirectory()]
        for directory in directories { await (try await TestNode.open(directory)).close() }
        try FileManager.default.removeItem(atPath: directories[0].path + "/data/store")
        try FileManager.default.moveItem(
            atPath: directories[1].path + "/data/store",
            toPath: directories[0].path + "/data/store"
        )
        let error = await #expect(throws: NodeError.self) { _ = try await TestNode.open(directories[0]) }
        #expect(error?.kind == .mixedParts)
    }

    @Test func whatLogAndStoreRunIntoHasAKind() {
        let corruption = LogCorruption(path: "p", segment: 1, offset: nil, reason: "r")
        let found: [(any Error, NodeError.Kind)] = [
            (LogError.corrupt(corruption), .damaged),
            (LogError.unsupportedFormat(path: "p", found: 2, supported: 1), .newerFormat),
            (LogError.io(operation: "open", path: "p", code: EACCES), .directoryUnusable),
            (LogError.io(operation: "write", path: "p", code: ENOSPC), .diskFull),
            (RocksDBStore.OpenError.locked(directory: "d"), .directoryInUse),
            (RocksDBStore.OpenError.newerFormat(found: 2, supported: 1), .newerFormat),
            (RocksDBStore.OpenError.store(.corrupt("c")), .damaged),
            (StoreError.diskFull("d"), .diskFull),
            (StoreError.failed("f"), .failed),
        ]
        for (error, kind) in found {
            #expect(NodeError(error).kind == kind)
            #expect(NodeError(error).description == "\(error)")
        }
    }

    @Test func aTaskThatIsCancelledGetsNoNode() async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory)
        for number in 0..<100 { try await node.put("k\(number)", "v") }
        let image = try node.crashImage(of: directory)
        await node.close()
        let opening = Task { try await TestNode.open(image) }
        opening.cancel()
        await #expect(throws: CancellationError.self) { _ = try await opening.value }
        let second = try await TestNode.open(image)
        try await second.put("another", "key")
        #expect(try second.value("k99") == "v")
        await second.close()
    }

    @Test func aCreationThatWasInterruptedIsRepeated() async throws {
        // The store says whose it is and the log is still empty: as after a crash between the two.
        let directory = TemporaryDirectory()
        try FileManager.default.createDirectory(
            atPath: directory.path + "/data/store",
            withIntermediateDirectories: true
        )
        let identity = NodeIdentity(clusterID: "c", nodeName: "atlas-node-1", incarnation: 7)
        do {
            let store = try RocksDBStore.open(directory: directory.path + "/data/store")
            try store.setSystemValue(NodeIdentity.systemName, identity.encoded(), flush: true)
        }
        let node = try await TestNode.open(directory)
        #expect(node.node.identity == identity)
        _ = try await node.put("a", "1")
        await node.close()
    }
}
