import Foundation

/// A text file of the repository.
struct SourceFile {
    /// From the repository's root, such as `Sources/AtlasTypes/Key.swift`.
    let path: String
    let text: String

    /// The Swift module that the file belongs to, such as `AtlasCore`; `nil` outside of `Sources`.
    var module: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    var isSwift: Bool { path.hasSuffix(".swift") }

    var isGenerated: Bool { path.hasSuffix(".pb.swift") }

    var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

    /// The text with each comment replaced by a space; line breaks stay.
    var code: String {
        var scanner = CommentScanner(text)
        return scanner.withoutComments()
    }

    /// The number of the line (from 1) that an index of `text` or `code` lies in.
    static func line(of index: String.Index, in text: String) -> Int {
        1 + text[..<index].count { $0 == "\n" }
    }
}

/// Tells comments from code: strings may hold what looks like a comment.
private struct CommentScanner {
    private var rest: Substring
    private var output = ""

    init(_ text: String) {
        rest = text[...]
    }

    mutating func withoutComments() -> String {
        while let character = rest.first {
            if rest.hasPrefix("//") {
                rest = rest.drop { $0 != "\n" }
                output += " "
            } else if rest.hasPrefix("/*") {
                dropBlockComment()
            } else if character == "\"" || character == "#" {
                copyString()
            } else {
                copy(1)
            }
        }
        return output
    }

    private mutating func copy(_ count: Int) {
        output += rest.prefix(count)
        rest = rest.dropFirst(count)
    }

    private mutating func dropBlockComment() {
        var depth = 0
        repeat {
            if rest.hasPrefix("/*") {
                depth += 1
                rest = rest.dropFirst(2)
            } else if rest.hasPrefix("*/") {
                depth -= 1
                rest = rest.dropFirst(2)
            } else {
                if rest.first == "\n" { output += "\n" }
                rest = rest.dropFirst()
            }
        } while depth > 0 && !rest.isEmpty
        output += " "
    }

    /// A string literal of any form, or a `#` that begins none.
    private mutating func copyString() {
        let pounds = String(rest.prefix { $0 == "#" })
        let behindPounds = rest.dropFirst(pounds.count)
        guard behindPounds.first == "\"" else { return copy(pounds.count) }
        let quotes = behindPounds.hasPrefix("\"\"\"") ? "\"\"\"" : "\""
        copy(pounds.count + quotes.count)
        while !rest.isEmpty && !rest.hasPrefix(quotes + pounds) {
            copy(rest.hasPrefix("\\" + pounds) ? 2 + pounds.count : 1)
        }
        copy(quotes.count + pounds.count)
    }
}

/// The files of this repository that people write.
enum Repository {
    /// Two folders up; also where the test's own folder is a link.
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let folders = [
        ".ci", "Benchmarks", "Examples", "Sources", "Tests", "config", "docs", "proto", "scripts",
    ]
    private static let endings: Set = ["swift", "md", "sh", "py", "proto", "yaml", "yml", "h", "modulemap", "txt", ""]

    static func file(_ path: String) throws -> SourceFile {
        SourceFile(path: path, text: try String(contentsOf: root.appending(path: path), encoding: .utf8))
    }

    static func files() throws -> [SourceFile] {
        let top = try FileManager.default.contentsOfDirectory(atPath: root.path)
            .filter { ["Makefile", "Package.swift"].contains($0) || $0.hasSuffix(".md") }
        let paths = try folders.flatMap(files(under:)) + top
        return try paths.sorted().map(file)
    }

    private static func files(under folder: String) throws -> [String] {
        guard let walk = FileManager.default.enumerator(atPath: root.appending(path: folder).path) else { return [] }
        return walk.compactMap { $0 as? String }
            .filter { path in
                walkable(path) && endings.contains(URL(filePath: path).pathExtension)
                    && isRegularFile(root.appending(path: folder).appending(path: path))
            }
            .map { "\(folder)/\($0)" }
    }

    /// Whether a path lies outside of build products and caches.
    private static func walkable(_ path: String) -> Bool {
        !path.split(separator: "/").contains { $0.hasPrefix(".build") || $0 == "__pycache__" || $0 == ".venv" }
    }

    private static func isRegularFile(_ url: URL) -> Bool {
        (try? url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) ?? false
    }
}
