import Foundation
import Testing

@testable import AtlasConfiguration
import AtlasTestSupport

/// Loads the text of a file, variables and `--set` arguments.
func load(
    _ yaml: String? = nil,
    environment: [String: String] = [:],
    set: [String] = [],
    flags: ConfigurationFlags? = nil
) throws -> LoadedConfiguration {
    let directory = TemporaryDirectory()
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
