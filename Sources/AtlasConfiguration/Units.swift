internal import AtlasTypes

/// Sizes as people write them: plain bytes, or with a unit of powers of 1024 (`64MiB`) or 1000 (`64MB`).
enum ByteSize {
    private static let units: [(name: String, bytes: Int)] = [
        ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
    ]

    static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { return nil }
        let suffix = text.dropFirst(digits.count)
        if suffix.isEmpty { return number }
        let name = suffix.first == " " ? suffix.dropFirst() : suffix
        guard let unit = units.first(where: { $0.name.lowercased() == name.lowercased() }) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
        return overflow ? nil : bytes
    }

    /// In the largest unit of powers of 1024 that needs no fraction.
    static func format(_ bytes: Int) -> String {
        let unit = units[1...4].last { bytes >= $0.bytes && bytes % $0.bytes == 0 }
        return unit.map { "\(bytes / $0.bytes)\($0.name)" } ?? "\(bytes)"
    }
}

/// Durations as people write them: whole numbers with units, the larger unit first (`1h30m`, `500ms`); zero may be `0`.
package enum DurationText {
    private static let units: [(name: String, microseconds: Int64)] = [
        ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1),
    ]

    package static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = text[...]
        var unused = units[...]
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(name.count)
            guard let number = Int64(digits), let index = unused.firstIndex(where: { $0.name == name }) else {
                return nil
            }
            let (part, tooLong) = number.multipliedReportingOverflow(by: units[index].microseconds)
            let (sum, overflow) = total.addingReportingOverflow(part)
            if tooLong || overflow { return nil }
            total = sum
            unused = units[(index + 1)...]
        }
        return text.isEmpty ? nil : .microseconds(total)
    }

    static func format(_ duration: Duration) -> String {
        var rest = Int64(clamping: duration.microseconds)
        if rest == 0 { return "0s" }
        var text = ""
        for unit in units.dropFirst() where rest >= unit.microseconds {
            text += "\(rest / unit.microseconds)\(unit.name)"
            rest %= unit.microseconds
        }
        return text
    }
}
