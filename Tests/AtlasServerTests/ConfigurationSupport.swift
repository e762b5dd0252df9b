import Foundation
import Testing

@testable import AtlasServer

/// A directory that lives as long as the test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "atlas-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Writes a file and gives its path.
    func file(_ content: some Sequence<UInt8>, name: String = "atlas.yaml") throws -> String {
        let file = "\(path)/\(name)"
        try Data(content).write(to: URL(filePath: file))
        return file
    }
}

/// Loads the text of a file, variables and `--set` arguments.
func load(
    _ yaml: String? = nil,
    environment: [String: String] = [:],
    set: [String] = [],
    flags: ConfigurationFlags? = nil
) throws -> LoadedConfiguration {
    let directory = try TemporaryDirectory()
    var flags = flags ?? ConfigurationFlags()
    for assignment in set { flags.set(assignment) }
    return try withExtendedLifetime(directory) {
        try LoadedConfiguration.load(
            file: try yaml.map { try directory.file($0.utf8) },
            searchPaths: [],
            environment: environment,
            flags: flags
        )
    }
}

/// The messages of a load that must fail.
func problems(
    _ yaml: String? = nil,
    environment: [String: String] = [:],
    set: [String] = [],
    flags: ConfigurationFlags? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) -> [String] {
    let error = #expect(throws: ConfigurationError.self, sourceLocation: sourceLocation) {
        try load(yaml, environment: environment, set: set, flags: flags)
    }
    return error?.problems.map(\.description) ?? []
}
