package import AtlasCore
internal import AtlasRocksDB
internal import Foundation
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOPosix
package import AtlasConfiguration
package import AtlasNode
package import AtlasTypes

/// A node in a temporary directory, with the operations that tests want.
package final class TestNode: Sendable {
    private let open: NIOLockedValueBox<Node?>

    private init(_ node: Node) {
        open = NIOLockedValueBox(node)
    }

    package var node: Node {
        open.withLockedValue { $0! }
    }

    package static func open(
        _ directory: TemporaryDirectory,
        _ change: (inout AtlasConfiguration) -> Void = { _ in }
    ) async throws -> TestNode {
        var config = AtlasConfiguration()
        config.node.dataDirectory = directory.path + "/data"
        config.node.storage.logSegmentSize = 1 << 20
        change(&config)
        let node = try await Node.open(
            config,
            group: .singletonMultiThreadedEventLoopGroup,
            logger: Logger(label: "test"),
            onFailure: { preconditionFailure("the node failed: \($0)") }
        )
        return TestNode(node)
    }

    /// Writes a key; returns its version.
    @discardableResult
    package func put(_ key: String, _ value: String, id: RequestID = .none) async throws -> Timestamp {
        let operation = Operation(.put(value: Array(value.utf8), ttl: 0), key: Key(Array(key.utf8)))
        let command = Command(requestID: id, operations: [operation])
        let outcome = await write(WriteRequest(command: command))
        guard case .written(.applied(let version, _, _), _) = outcome else { throw Unexpected(outcome: outcome) }
        return version
    }

    package func write(_ request: WriteRequest) async -> Outcome {
        await withCheckedContinuation { continuation in
            node.write(request, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
        }
    }

    package func administer(_ request: AdminRequest) async -> Outcome {
        await withCheckedContinuation { continuation in
            node.administer(request, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
        }
    }

    package struct Unexpected: Error {
        let outcome: Outcome

        package init(outcome: Outcome) {
            self.outcome = outcome
        }
    }

    package func value(_ key: String) throws -> String? {
        try node.store.record(of: Key(Array(key.utf8)), tier: .disk).map { String(decoding: $0.value, as: UTF8.self) }
    }

    /// A copy of the directory as a crash at this moment would leave it.
    package func crashImage(of directory: TemporaryDirectory) throws -> TemporaryDirectory {
        let image = TemporaryDirectory()
        let source = directory.path + "/data"
        for file in try FileManager.default.subpathsOfDirectory(atPath: source) where !file.hasSuffix(".tmp") {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(source)/\(file)", isDirectory: &isDirectory) else {
                continue
            }
            let target = URL(filePath: "\(image.path)/data/\(file)")
            try FileManager.default.createDirectory(
                at: isDirectory.boolValue ? target : target.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            if !isDirectory.boolValue {
                try FileManager.default.copyItem(at: URL(filePath: "\(source)/\(file)"), to: target)
            }
        }
        return image
    }

    package func close() async {
        _ = try? await NIOThreadPool.singleton.runIfActive { [open] in
            open.withLockedValue { node in
                node?.close()
                node = nil
            }
        }
    }
}
