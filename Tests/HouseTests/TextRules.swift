// Words that may not stand in the repository are put together here, so that this file does not break its own rules.

extension Rule {
    static let openWork = Rule(
        name: "nothing is left open in code, tests and scripts",
        violations: { file in
            let folders = ["Sources/", "Tests/", "scripts/", "Examples/", "Benchmarks/", "proto/", ".ci/"]
            guard folders.contains(where: file.path.hasPrefix) else { return [] }
            return lines(of: file) { line in
                line.split { !($0.isLetter || $0 == "_") }.first(where: marks.contains).map { "left open: \($0)" }
            }
        },
        badSamples: marks.flatMap { mark in
            [Sample("Sources/AtlasCore/A.swift", "let x = 1  // \(mark): later"), Sample("scripts/a.sh", "# \(mark)")]
        },
        goodSamples: [Sample("Sources/AtlasCore/A.swift", "let todos = 1  // METHOD, Todo, HACKNEY")]
    )

    private static let marks: Set<Substring> = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]

    static let machinePaths = Rule(
        name: "no file names a path of the machine that it was written on",
        violations: { file in
            lines(of: file) { line in
                paths.first(where: line.contains).map { "a path of one machine: \($0)" }
            }
        },
        badSamples: paths.map { Sample("docs/A.md", "see `\($0)x`") },
        goodSamples: [Sample("docs/A.md", "the frame/work and /opt/swift are fine")]
    )

    private static let paths = ["work/", "farm/", "opt/swift-packages", ".library", "home/", "root/"].map { "/" + $0 }

    static let fileLength = Rule(
        name: "a Swift file has at most 500 lines",
        violations: { file in
            let count = file.text.count { $0 == "\n" }
            guard file.isSwift, !file.isGenerated, count > linesMax else { return [] }
            return [Violation(path: file.path, line: linesMax + 1, what: "\(count) lines; split it by topic")]
        },
        badSamples: [Sample("Sources/AtlasCore/A.swift", String(repeating: "\n", count: linesMax + 1))],
        goodSamples: [
            Sample("Sources/AtlasCore/A.swift", String(repeating: "\n", count: linesMax)),
            Sample("Sources/AtlasWire/Generated/a.pb.swift", String(repeating: "\n", count: 4 * linesMax)),
        ]
    )

    private static let linesMax = 500

    static let functionLength = Rule(
        name: "a function has at most 70 lines",
        violations: { file in
            guard file.isSwift, !file.isGenerated else { return [] }
            let lines = file.lines
            return lines.indices.compactMap { first in
                guard lines[first].hasSuffix("{") || lines[first].hasSuffix("("),
                    let function = lines[first].prefixMatch(of: function),
                    let last = lines[first...].firstIndex(where: { $0 == "\(function.output.1)}" }),
                    last - first + 1 > functionLinesMax
                else { return nil }
                let what = "a function of \(last - first + 1) lines; give its parts names"
                return Violation(path: file.path, line: first + 1, what: what)
            }
        },
        badSamples: ["func f() {", "    package static func f(", "  init() {"].map {
            let inner = String(repeating: "\n", count: functionLinesMax)
            return Sample("Sources/AtlasCore/A.swift", "\($0)\(inner)\($0.prefix { $0 == " " })}")
        },
        goodSamples: [
            Sample("Sources/AtlasCore/A.swift", "func f() {\(String(repeating: "\n", count: functionLinesMax - 1))}\n")
        ]
    )

    private static let functionLinesMax = 70
    nonisolated(unsafe) private static let function = #/( *)(?:@\w+ )*(?:[a-z]+ )*(?:func |init[(<?])/#

    static let uncheckedReason = Rule(
        name: "the comment right above each \(unchecked) says why that is safe",
        violations: { file in
            guard file.isSwift, !file.isGenerated else { return [] }
            let lines = file.lines.map { $0.drop { $0 == " " } }
            let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
            return code.indices.filter { code[$0].contains(unchecked) && !hasReason(lines[..<$0]) }
                .map { Violation(path: file.path, line: $0 + 1, what: "no comment `unchecked: reason` above") }
        },
        badSamples: [
            "", "/// A thing.\n", "/// Unchecked:\n", "/// Unchecked: why.\n\n", "// Unchecked: why.\nlet a = 1\n",
        ].map { Sample("Sources/AtlasLog/A.swift", "\($0)final class A: \(unchecked) {}  // unchecked: why") },
        goodSamples: [
            "// @unchecked: why.\n", "/// A thing.\n///\n/// `\(unchecked)`: why\n/// not.\n@frozen\n", "// ",
        ].map { Sample("Tests/AtlasLogTests/A.swift", "\($0)final class A: \(unchecked) {}") }
    )

    private static let unchecked = "@unch" + "ecked Sendable"

    private static func hasReason(_ lines: ArraySlice<Substring>) -> Bool {
        lines.reversed().prefix { $0.hasPrefix("//") || $0.hasPrefix("@") }
            .contains { $0.lowercased().contains(/unchecked( sendable)?`?: \S/) }
    }

    static let oneWriter = Rule(
        name: "of the shell only the store's writer changes it",
        violations: { file in
            guard shell.contains(where: file.path.hasPrefix), !file.path.hasSuffix("/StoreWriter.swift") else {
                return []
            }
            return lines(of: file) { line in
                changes.first(where: line.contains).map { "a change of the store without its writer: \($0)" }
            }
        },
        badSamples: changes.map { Sample("Sources/AtlasNode/A.swift", "try \($0)x)") },
        goodSamples: changes.flatMap {
            [
                Sample("Sources/AtlasNode/Storage/StoreWriter.swift", "try \($0)x)"),
                Sample("Tests/AtlasServerTests/A.swift", "try \($0)x)"),
            ]
        } + [Sample("Sources/AtlasNode/A.swift", "try writer.install(x)")]
    )

    private static let shell = ["AtlasNode", "AtlasServices", "AtlasServer", "AtlasDB"].map { "Sources/\($0)/" }
    private static let changes = ["store.commit(", "store.install(", "store.discard("]

    private static func lines(of file: SourceFile, _ violation: (Substring) -> String?) -> [Violation] {
        file.lines.enumerated().compactMap { index, line in
            violation(line).map { Violation(path: file.path, line: index + 1, what: $0) }
        }
    }
}
