/// Something that happened in a run, for people.
package struct TraceLine: Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        case text
        /// A message arrives.
        case message(from: Int, to: Int)
        case down(Int)
        case up(Int)
    }

    /// Virtual nanoseconds.
    package var time: UInt64
    package var kind: Kind
    package var text: String

    package init(time: UInt64, kind: Kind = .text, text: String) {
        self.time = time
        self.kind = kind
        self.text = text
    }

    /// Milliseconds, with three decimals and ten columns.
    var stamp: String {
        let micros = String(time / 1_000 % 1_000 + 1_000).dropFirst()
        return "\(time / 1_000_000).\(micros)".padded(to: 10)
    }

    package var description: String {
        guard case .message(let from, let to) = kind else { return "\(stamp)  \(text)" }
        return "\(stamp)  n\(from + 1) → n\(to + 1)  \(text)"
    }

    /// The node whose lane a text belongs to: the first that it names.
    fileprivate var place: Int? {
        for word in text.prefix(200).split(whereSeparator: { !$0.isLetter && !$0.isNumber }) where word.first == "n" {
            if let number = Int(word.dropFirst()), number > 0 { return number - 1 }
        }
        return nil
    }

    /// Whether the line is about a tablet, or about none.
    fileprivate func concerns(_ tablet: UInt64) -> Bool {
        let names = text.matches(of: /\bt(\d+)@|\btablet (\d+)/).compactMap { $0.output.1 ?? $0.output.2 }
        return names.isEmpty || names.contains { UInt64($0) == tablet % 1_000 || UInt64($0) == tablet }
    }
}

/// A trace with a lane for each node: messages are arrows where they arrive, what else happens is a dot.
///
///         ms      n1  n2  n3
///     1200.517    ├───┼──▶│   t1@1 accept 2.1 7 [1c], commit 6
///     1201.023        │   ●   n1 crashes
package struct Diagram {
    package var nodeCount: Int
    package var showsHeartbeats = false
    /// Leaves out lines about other tablets.
    package var tablet: UInt64?
    /// Only the last lines; `nil` is all.
    package var linesMax: Int?

    private let laneWidth = 4

    package init(nodeCount: Int, tablet: UInt64? = nil, linesMax: Int? = nil) {
        self.nodeCount = nodeCount
        self.tablet = tablet
        self.linesMax = linesMax
    }

    package func render(_ trace: [TraceLine]) -> String {
        var isUp = Array(repeating: false, count: nodeCount)
        var lines: [(line: TraceLine, isUp: [Bool])] = []
        for line in trace {
            if case .up(let node) = line.kind { isUp[node] = true }
            if shows(line) { lines.append((line, isUp)) }
            if case .down(let node) = line.kind { isUp[node] = false }
        }
        let left = lines.count - min(lines.count, linesMax ?? lines.count)
        let names = (1...max(1, nodeCount)).map { "n\($0)".padded(to: laneWidth) }.joined()
        var text = "        ms\(names)\n"
        if left > 0 { text += "         …  \(left) lines before\n" }
        for (line, isUp) in lines.dropFirst(left) {
            let rows = line.text.split(separator: "\n", omittingEmptySubsequences: false)
            text += "\(line.stamp)  \(lanes(line, isUp))\(rows.first ?? "")\n"
        }
        return text
    }

    private func shows(_ line: TraceLine) -> Bool {
        switch line.kind {
        case .message:
            if line.text.hasPrefix("heartbeat") { return showsHeartbeats }
        case .down, .up: return true
        case .text: break
        }
        return tablet.map(line.concerns) ?? true
    }

    private func lanes(_ line: TraceLine, _ isUp: [Bool]) -> String {
        var cells = Array(repeating: Character(" "), count: nodeCount * laneWidth)
        for node in 0..<nodeCount where isUp[node] { cells[node * laneWidth] = "│" }
        switch line.kind {
        case .message(let from, let to):
            let (low, high) = (min(from, to) * laneWidth, max(from, to) * laneWidth)
            for place in low...high { cells[place] = cells[place] == " " ? "─" : "┼" }
            cells[from * laneWidth] = from < to ? "├" : "┤"
            cells[to * laneWidth] = isUp[to] ? "│" : " "
            if from < to { cells[high - 1] = "▶" } else if to < from { cells[low + 1] = "◀" }
        case .down(let node): cells[node * laneWidth] = "✗"
        case .up(let node): cells[node * laneWidth] = "●"
        case .text:
            if let node = line.place, node < nodeCount { cells[node * laneWidth] = "●" }
        }
        return String(cells)
    }
}

extension String {
    /// With spaces before it.
    func padded(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
}
