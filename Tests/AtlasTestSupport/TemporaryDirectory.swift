internal import Foundation

/// A directory that goes away with its last owner.
package final class TemporaryDirectory: Sendable {
    package let path: String

    package init() {
        let url = FileManager.default.temporaryDirectory.appending(path: "atlas-test-\(UUID().uuidString)")
        path = url.path
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        } catch {
            preconditionFailure("cannot make a temporary directory: \(error)")
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    package func path(_ name: String) -> String {
        "\(path)/\(name)"
    }

    /// Writes a file and gives its path.
    package func file(_ content: some Sequence<UInt8>, name: String = "atlas.yaml") throws -> String {
        let file = path(name)
        try Data(content).write(to: URL(filePath: file))
        return file
    }
}
