/// Which module may import which: what Package.swift lets it use.
enum Modules {
    static let mayImport = uses(in: (try? Repository.file("Package.swift").text) ?? "")

    /// The modules that a package's description declares, in its order, with those that each uses.
    static func declarations(in package: String) -> [(name: String, uses: [String])] {
        let declaration =
            #/(?:systemLibrary\(name: |module\(\s*|program\(\s*)"(?<name>[\w-]+)"(?:,\s*\[(?<uses>(?:\s*"[\w-]+",?)*)\s*\])?/#
        return package.matches(of: declaration).map { match in
            let names = (match.output.uses ?? "").matches(of: #/"([\w-]+)"/#).map { String($0.1) }
            return (String(match.output.name), names)
        }
    }

    private static func uses(in package: String) -> [String: Set<String>] {
        Dictionary(declarations(in: package).map { ($0.name, Set($0.uses)) }) { first, _ in first }
    }

    /// The modules that touch nothing of the world.
    static let pure: Set = ["AtlasTypes", "AtlasCore", "AtlasChecker"]

    /// swift-collections.
    static let collections: Set = [
        "BasicContainers", "BitCollections", "Collections", "ContainersPreview", "DequeModule", "HashTreeCollections",
        "HeapModule", "OrderedCollections",
    ]

    /// What the simulator may import besides: it links neither RocksDB nor any network.
    static let simulatorMayImport = collections.union(["Foundation", "FoundationEssentials"])
}

/// An `import` declaration.
struct Import {
    let module: String
    let line: Int

    static func all(in file: SourceFile) -> [Import] {
        file.code.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let words = line.split { $0 == " " || $0 == "\t" || $0 == ";" }
            guard let keyword = words.firstIndex(of: "import"),
                words[..<keyword].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
            else { return nil }
            let names = words[(keyword + 1)...].drop { declarationKinds.contains($0) }
            guard let name = names.first else { return nil }
            let module = name.prefix { $0 != "." }
            return Import(module: String(module), line: index + 1)
        }
    }

    private static let accessLevels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
    private static let declarationKinds: Set<Substring> = [
        "struct", "class", "enum", "protocol", "typealias", "func", "var", "let",
    ]
}

extension Rule {
    static let ownModulesBelow = Rule(
        name: "a module imports only modules below it",
        violations: { file in
            guard file.isSwift, let module = file.module else { return [] }
            guard let allowed = Modules.mayImport[module] else {
                return [Violation(path: file.path, line: 1, what: "\(module) is missing in Package.swift")]
            }
            return Import.all(in: file)
                .filter { Modules.mayImport[$0.module] != nil && !allowed.contains($0.module) }
                .map { Violation(path: file.path, line: $0.line, what: "\(module) must not import \($0.module)") }
        },
        badSamples: [
            Sample("Sources/AtlasCore/A.swift", "import AtlasLog"),
            Sample("Sources/AtlasRPC/A.swift", "package import AtlasServer"),
            Sample("Sources/AtlasServer/A/B.swift", "\n  @testable import struct AtlasClient.Thing"),
            Sample("Sources/AtlasSimulator/A.swift", "@preconcurrency internal import CRocksDB"),
            Sample("Sources/AtlasUnheardOf/A.swift", "let x = 1"),
        ],
        goodSamples: [
            Sample("Sources/AtlasLog/A.swift", "internal import CXXHash\npackage import AtlasCore"),
            Sample("Sources/AtlasCore/A.swift", "// import AtlasLog\n/* import\nimport AtlasLog */ let import1 = 2"),
            Sample("Tests/AtlasLogTests/A.swift", "import AtlasServer"),
        ]
    )

    static let pureImports = Rule(
        name: "AtlasTypes, AtlasCore and AtlasChecker import swift-collections only",
        violations: { file in
            guard file.isSwift, let module = file.module, Modules.pure.contains(module) else { return [] }
            return Import.all(in: file)
                .filter {
                    Modules.mayImport[$0.module] == nil && !Modules.collections.contains($0.module)
                        && $0.module != "Swift"
                }
                // What is an IP address, glibc says.
                .filter { $0.module != "Glibc" || file.path != "Sources/AtlasTypes/HostPort.swift" }
                .map { Violation(path: file.path, line: $0.line, what: "\(module) must not import \($0.module)") }
        },
        badSamples: ["Foundation", "NIOCore", "Logging", "Synchronization", "Dispatch", "Glibc"].map {
            Sample("Sources/AtlasCore/Node/A.swift", "internal import \($0)")
        } + [Sample("Sources/AtlasChecker/A.swift", "#if os(Linux)\nimport Foundation\n#endif")],
        goodSamples: [
            Sample("Sources/AtlasCore/A.swift", "package import DequeModule\ninternal import OrderedCollections"),
            Sample("Sources/AtlasServer/A.swift", "internal import Foundation"),
        ]
    )

    static let simulatorImports = Rule(
        name: "AtlasSimulator imports neither a database nor a network",
        violations: { file in
            guard file.isSwift, file.module == "AtlasSimulator" else { return [] }
            return Import.all(in: file)
                .filter { Modules.mayImport[$0.module] == nil && !Modules.simulatorMayImport.contains($0.module) }
                .map { Violation(path: file.path, line: $0.line, what: "AtlasSimulator must not import \($0.module)") }
        },
        badSamples: [Sample("Sources/AtlasSimulator/A.swift", "internal import NIOPosix")],
        goodSamples: [Sample("Sources/AtlasSimulator/A.swift", "internal import AtlasCore\nimport HeapModule")]
    )
}
