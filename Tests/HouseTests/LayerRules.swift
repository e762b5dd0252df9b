import Testing

/// The folders of the core are layers: a file uses only what its own folder and lower ones declare.
struct Layers {
    /// From the lowest to the highest.
    let folders: [String]

    /// The rows of the table of folders in a document: those that begin with a folder's name.
    init(table document: String) {
        folders = document.matches(of: #/(?m)^\| `(\w+)/` \|/#).map { String($0.1) }
    }

    init(_ folders: [String]) {
        self.folders = folders
    }

    func violations(in files: [SourceFile]) -> [Violation] {
        var homes: [Substring: Int] = [:]
        var found: [Violation] = []
        for file in files {
            guard let layer = layer(of: file) else {
                found.append(
                    Violation(path: file.path, line: 1, what: "its folder is no layer in docs/ARCHITECTURE.md")
                )
                continue
            }
            for name in Self.declarations(in: file.code) { homes[name] = min(layer, homes[name] ?? layer) }
        }
        for file in files {
            guard let layer = layer(of: file) else { continue }
            for (number, line) in file.code.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                for word in line.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_") }) {
                    guard let home = homes[word], home > layer else { continue }
                    let what = "\(folders[layer]) must not use \(word) of \(folders[home])"
                    found.append(Violation(path: file.path, line: number + 1, what: what))
                }
            }
        }
        return found
    }

    private func layer(of file: SourceFile) -> Int? {
        let parts = file.path.split(separator: "/")
        return parts.count > 3 ? folders.firstIndex(of: String(parts[2])) : nil
    }

    /// The types that a file declares for others to use, but for nested ones.
    private static func declarations(in code: String) -> [Substring] {
        let declaration =
            #/(?m)^(?:(?:package|internal|indirect|final) +)*(?:struct|enum|class|protocol|typealias) +(\w+)/#
        return code.matches(of: declaration).map { $0.output.1 }
    }
}

@Suite struct LayerTests {
    @Test("the core's folders use only those below them, and are all in docs/ARCHITECTURE.md")
    func core() throws {
        let files = try Repository.files()
        let document = try #require(files.first { $0.path == "docs/ARCHITECTURE.md" })
        let layers = Layers(table: document.text)
        let core = files.filter { $0.path.hasPrefix("Sources/AtlasCore/") && $0.isSwift }
        #expect(layers.folders.count > 5, "the table of folders is not where it was")
        for folder in layers.folders {
            #expect(core.contains { $0.path.hasPrefix("Sources/AtlasCore/\(folder)/") }, "there is no folder \(folder)")
        }
        let violations = layers.violations(in: core)
        #expect(violations.isEmpty, "\(violations.map(\.description).joined(separator: "\n"))")
    }

    @Test("a reference to a folder above is seen, and so is a folder that is no layer")
    func canFail() {
        let layers = Layers(["Low", "High"])
        func found(_ low: String, in folder: String = "Low") -> [String] {
            layers.violations(in: [
                SourceFile(path: "Sources/AtlasCore/\(folder)/A.swift", text: low),
                SourceFile(path: "Sources/AtlasCore/High/B.swift", text: "package struct Tower {}\nlet a: Ground"),
            ]).map(\.description)
        }
        #expect(
            found("struct Ground {}\nvar b: Tower.Part") == [
                "Sources/AtlasCore/Low/A.swift:2: Low must not use Tower of High"
            ]
        )
        #expect(found("indirect enum Ground {}\n// Tower\nlet Towers = 1").isEmpty)
        #expect(found("struct Ground {}", in: "Cellar").count == 1)
    }
}
