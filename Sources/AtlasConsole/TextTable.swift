/// Rows of cells in aligned columns.
package struct TextTable {
    package enum Alignment {
        case left
        case right
    }

    package struct Column {
        package var title: String
        package var alignment: Alignment

        package static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        package static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    private let columns: [Column]
    private var rows: [[String]] = []
    private var widths: [Int]
    private var needsHeading = true

    package init(_ columns: [Column]) {
        self.columns = columns
        widths = columns.map(\.title.count)
    }

    package var isEmpty: Bool { rows.isEmpty }
    package var rowCount: Int { rows.count }

    package mutating func add(_ row: [String]) {
        precondition(row.count == columns.count, "a cell for each column")
        for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
        rows.append(row)
    }

    /// The rows so far, with the heading if it is the first time, and forgets them: a long table is printed in parts.
    package mutating func take() -> String {
        var text = needsHeading ? line(columns.map(\.title)) : ""
        needsHeading = false
        for row in rows { text += line(row) }
        rows.removeAll(keepingCapacity: true)
        return text
    }

    private func line(_ cells: [String]) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: max(0, widths[index] - cell.count))
            let isLast = index == cells.count - 1
            if index > 0 { line += "  " }
            switch columns[index].alignment {
            case .left: line += isLast ? cell : cell + padding
            case .right: line += padding + cell
            }
        }
        return line + "\n"
    }
}

/// Facts about one thing: a name and a value on each line.
package enum FieldList {
    package static func render(_ fields: [(String, String)], indent: Int = 0) -> String {
        let width = fields.map(\.0.count).max() ?? 0
        let start = String(repeating: " ", count: indent)
        return fields.map { name, value in
            start + name + String(repeating: " ", count: width - name.count + 2) + value + "\n"
        }.joined()
    }
}
