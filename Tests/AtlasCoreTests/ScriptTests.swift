import AtlasCore
import Foundation
import Testing

/// The transcripts in `Scripts/`: events in (`> …`), effects out (indented lines below). Run the tests with
/// ATLAS_REWRITE_SCRIPTS=1 to write down what the core does now, and read the difference before committing it.
struct ScriptTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Scripts")

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    @Test func transcriptsAreThere() {
        #expect(Self.names.count >= 10)
    }

    @Test(arguments: names)
    func transcript(name: String) throws {
        let file = Self.folder.appending(path: name)
        let expected = try String(contentsOf: file, encoding: .utf8)
        let actual = replay(expected)
        if ProcessInfo.processInfo.environment["ATLAS_REWRITE_SCRIPTS"] != nil {
            try actual.write(to: file, atomically: true, encoding: .utf8)
        } else if actual != expected {
            let pairs = zip(actual.split(separator: "\n"), expected.split(separator: "\n"))
            let difference = pairs.first { $0 != $1 } ?? ("(end)", "(end)")
            Issue.record("\(name): the core says\n\(difference.0)\nwhere the transcript has\n\(difference.1)")
        }
    }

    /// A rare path without a transcript is a rule that nobody can read.
    @Test func transcriptsPassTheRarePaths() throws {
        var marks = MarkSet()
        for name in Self.names {
            let script = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
            var node = ScriptedNode()
            for line in script.split(separator: "\n") where line.hasPrefix("> ") {
                _ = try? node.run(String(line.dropFirst(2)))
            }
            marks.formUnion(node.marks)
        }
        let missing = Mark.allCases.filter { !marks.contains($0) }
        #expect(missing.isEmpty, "\(missing)")
    }

    /// The script with the output that the core gives now. Comments, blank lines and events stay as they are.
    private func replay(_ script: String) -> String {
        var node = ScriptedNode()
        var lines: [String] = []
        for line in script.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("    ") { continue }
            lines.append(String(line))
            if line.hasPrefix("> ") {
                do {
                    lines += try node.run(String(line.dropFirst(2))).map { "    " + $0 }
                } catch {
                    Issue.record("\(line): \(error)")
                    lines.append("    error: \(error)")
                }
            }
        }
        return lines.joined(separator: "\n")
    }
}
