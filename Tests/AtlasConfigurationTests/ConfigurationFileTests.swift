import Foundation
import Testing

@testable import AtlasConfiguration
import AtlasTestSupport

/// Files that are not as they should be.
@Suite struct ConfigurationFileTests {
    @Test(arguments: [
        "", "\n", "# nothing\n", "---\n", "node:\nstorage: # all at their defaults\n",
        "\u{FEFF}node: {id: atlas-node-1}",
    ])
    func emptyFilesAreDefaults(yaml: String) throws {
        #expect(try load(yaml).configuration == AtlasConfiguration())
    }

    @Test(arguments: [
        ("node: {id: a\n", "not YAML"),
        ("node: {id: a}\nnode: {id: b}\n", "given more than once: \"node\""),
        ("node:\n  id: a\n  id: b\n", "given more than once: \"id\""),
        ("[1, 2]", "expected sections of keys"),
        ("just words", "expected sections of keys"),
        ("node: 7", "node is a section"),
        ("node: []", "node is a section"),
        ("a: &x 1\n---\nb: 2", "not YAML"),
        ("node: {id: \"\u{1}\"}", "not YAML"),
        ("node: *nothing", "not YAML"),
        ("\tnode: {}", "not YAML"),
        ("? [a, b]\n: c", "is not a known section"),
        (String(repeating: "[", count: 50_000), "not YAML"),
        (String(repeating: "a: {", count: 50_000), "not YAML"),
    ])
    func brokenFiles(yaml: String, message: String) {
        let found = problems(yaml)
        #expect(found.count == 1 && found[0].contains(message), "\(found)")
    }

    @Test func problemsNameTheirLine() {
        let found = problems("node:\n  id: a\n\nlogging:\n  level: loud\n  - x\n")
        #expect(found.count == 1 && found[0].contains("atlas.yaml:6: not YAML"), "\(found)")
    }

    @Test func allProblemsAreReportedAtOnce() throws {
        let error = #expect(throws: ConfigurationError.self) {
            try load(
                "node: {region_id: none}\nstorage: {x: 1}\n",
                environment: ["ATLAS_LOG_LEVEL": "loud"],
                set: ["a=b"]
            )
        }
        #expect(error?.problems.count == 4)
        #expect(error?.description.split(separator: "\n").count == 5)
    }

    @Test func anchorsDoNotMultiply() {
        var yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            yaml += "a\(level): &a\(level) [\(aliases)]\n"
        }
        yaml += "cluster: {nodes: *a9}\n"
        let found = problems(yaml)
        #expect(
            found.count == 11 && found[10].contains("cluster.nodes is nested too deep, or uses anchors"),
            "\(found)"
        )
    }

    @Test func badEncodingNamesTheLine() throws {
        let directory = TemporaryDirectory()
        let path = try directory.file(Array("node:\n  id: ".utf8) + [0xFF, 0xFE])
        let error = #expect(throws: ConfigurationError.self) {
            try LoadedConfiguration.load(file: path, environment: [:])
        }
        #expect(error?.problems.map(\.description) == ["\(path):2: not UTF-8 text"])
    }

    @Test func unusablePaths() throws {
        let directory = TemporaryDirectory()
        func message(_ path: String) -> String? {
            #expect(throws: ConfigurationError.self) { try LoadedConfiguration.load(file: path, environment: [:]) }?
                .problems.first?.description
        }
        let missing = "\(directory.path)/none.yaml"
        #expect(message(missing) == "\(missing): cannot be read: No such file or directory")
        #expect(message(directory.path) == "\(directory.path): cannot be read: Is a directory")
        #expect(message("/dev/zero") == "/dev/zero: larger than 1MiB, not a configuration file")
        let huge = try directory.file(repeatElement(UInt8(ascii: "#"), count: ConfigurationFile.sizeMaxBytes + 1))
        #expect(message(huge) == "\(huge): larger than 1MiB, not a configuration file")
        let largest = try directory.file(repeatElement(UInt8(ascii: "#"), count: ConfigurationFile.sizeMaxBytes))
        #expect(try LoadedConfiguration.load(file: largest, environment: [:]).configuration == AtlasConfiguration())
    }

    /// A directory where a file is looked for is an error, not a reason to look elsewhere.
    @Test func theSearchStopsAtWhatIsThere() throws {
        let directory = TemporaryDirectory()
        #expect(throws: ConfigurationError.self) {
            try LoadedConfiguration.load(searchPaths: [directory.path], environment: [:])
        }
    }

    /// Files of random edits either load or fail with a message, and never trap.
    @Test func damagedFilesNeverTrap() throws {
        let template = Array(ConfigurationTemplate.render().replacing("  #", with: "  ").utf8)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var bytes = template
            for _ in 0..<Int.random(in: 1...5, using: &generator) {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: position)
                default: bytes.insert(Array("[]{}:,\"'&*-#\n\t".utf8).randomElement(using: &generator)!, at: position)
                }
            }
            var found: [ConfigurationProblem] = []
            do throws(ConfigurationError) {
                guard let text = String(validating: bytes, as: UTF8.self) else { continue }
                _ = try ConfigurationFile.parse(text, path: "file", problems: &found)
            } catch {
                #expect(!error.problems.isEmpty)
            }
        }
    }
}
