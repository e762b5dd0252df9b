/// Everything that is wrong with the configuration. The command line reports it as wrong usage (exit code 2).
package struct ConfigurationError: Error, Hashable {
    /// At least one, in the order of the sources.
    package var problems: [ConfigurationProblem]

    package init(_ problems: [ConfigurationProblem]) {
        self.problems = problems
    }

    package init(_ message: String, origin: ConfigurationOrigin? = nil) {
        problems = [ConfigurationProblem(message, origin: origin)]
    }
}

extension ConfigurationError: CustomStringConvertible {
    package var description: String {
        let lines = problems.map { "  \($0)" }.joined(separator: "\n")
        return "The configuration cannot be used:\n\(lines)"
    }
}

/// One thing that is wrong: what, where it comes from, and what would be right.
package struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
    package var description: String

    init(_ message: String, origin: ConfigurationOrigin? = nil) {
        description = origin.map { "\($0): \(message)" } ?? message
    }

    /// A value that is not allowed.
    init(key: String, value: String, origin: ConfigurationOrigin, expected: String) {
        self.init("\(key) is \(quoted(value)), expected \(expected)", origin: origin)
    }

    /// A name that means nothing, with the nearest one that does.
    init(unknown name: String, what: String, origin: ConfigurationOrigin, known: some Sequence<String>) {
        let hint = nearest(to: name, in: known).map { "; did you mean \($0)?" } ?? ""
        self.init("\(quoted(name)) is not a known \(what)\(hint)", origin: origin)
    }
}

/// Where a value comes from.
package enum ConfigurationOrigin: Hashable, Sendable {
    case `default`
    case file(path: String, line: Int)
    case environment(name: String)
    case flag(name: String)
    /// Not set itself, but by another key.
    case follows(key: String)

    /// Later sources win.
    var rank: Int {
        switch self {
        case .default, .follows: 0
        case .file: 1
        case .environment: 2
        case .flag: 3
        }
    }
}

extension ConfigurationOrigin: CustomStringConvertible {
    package var description: String {
        switch self {
        case .default: "default"
        case .file(let path, let line): "\(path):\(line)"
        case .environment(let name): name
        case .flag(let name): name
        case .follows(let key): "follows \(key)"
        }
    }
}

/// A value as it is shown in a message: quoted, on one line, and not longer than is useful.
func quoted(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(80).map { scalar in
        scalar.properties.generalCategory == .control || scalar == "\""
            ? scalar.escaped(asASCII: false) : String(scalar)
    }
    return "\"\(shown.joined())\(text.unicodeScalars.count > 80 ? "…" : "")\""
}

/// The candidate that takes the fewest edits, if that is few enough to be a slip of the hand.
func nearest(to name: String, in candidates: some Sequence<String>) -> String? {
    let ranked = candidates.map { (name: $0, edits: edits(from: name, to: $0)) }
    guard let best = ranked.min(by: { ($0.edits, $0.name) < ($1.edits, $1.name) }) else { return nil }
    return best.edits <= max(2, name.count / 3) ? best.name : nil
}

/// Insertions, deletions, replacements and swaps of neighbours that make one text of the other (optimal string alignment).
func edits(from source: String, to target: String) -> Int {
    let a = Array(source.lowercased().prefix(100))
    let b = Array(target.lowercased().prefix(100))
    var rows = [Array(0...b.count)]
    for i in 1...max(a.count, 1) where i <= a.count {
        var row = [i]
        for j in 1...max(b.count, 1) where j <= b.count {
            let same = a[i - 1] == b[j - 1]
            var best = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (same ? 0 : 1))
            if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                best = min(best, rows[i - 2][j - 2] + 1)
            }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[a.count][b.count]
}
