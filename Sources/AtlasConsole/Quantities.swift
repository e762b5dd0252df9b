internal import ArgumentParser
internal import AtlasTypes
internal import AtlasConfiguration

/// A length of time on the command line: `500ms`, `10s`, `1h30m`.
package struct TimeLength: ExpressibleByArgument, Sendable {
    package var duration: Duration

    package init(_ duration: Duration) {
        self.duration = duration
    }

    package init?(argument: String) {
        guard let duration = DurationText.parse(argument) else { return nil }
        self.init(duration)
    }

    /// In whole milliseconds, rounded up, so that something short does not become nothing.
    package var milliseconds: UInt64 {
        duration.millisecondsUp
    }

    package var defaultValueDescription: String {
        Quantity.time(microseconds: milliseconds * 1_000)
    }
}

/// Numbers with units, as people read them.
package enum Quantity {
    package static func bytes(_ bytes: UInt64) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        if bytes < 1024 { return "\(bytes) B" }
        var value = Double(bytes) / 1024
        var index = 0
        while value >= 1024, index < units.count - 1 {
            value /= 1024
            index += 1
        }
        return "\(significant(value)) \(units[index])"
    }

    package static func time(microseconds: UInt64) -> String {
        switch microseconds {
        case ..<1_000: "\(microseconds) µs"
        case ..<1_000_000: "\(significant(Double(microseconds) / 1_000)) ms"
        case ..<60_000_000: "\(significant(Double(microseconds) / 1_000_000)) s"
        default: long(seconds: microseconds / 1_000_000)
        }
    }

    /// With separators for thousands.
    package static func count(_ count: UInt64) -> String {
        let digits = String(count)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// "1 node", "2 nodes".
    package static func plural(_ count: Int, _ noun: String) -> String {
        "\(Self.count(UInt64(max(count, 0)))) \(noun)\(count == 1 ? "" : "s")"
    }

    /// The two largest units.
    private static func long(seconds: UInt64) -> String {
        let units: [(String, UInt64)] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]
        let first = units.firstIndex { seconds >= $0.1 } ?? units.count - 1
        var rest = seconds
        var parts: [String] = []
        for (name, size) in units[first...].prefix(2) {
            parts.append("\(rest / size) \(name)")
            rest %= size
        }
        return parts.joined(separator: " ")
    }

    /// Three digits of a number below 1024 or so.
    private static func significant(_ value: Double) -> String {
        fixed(value, digits: value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
    }

    package static func fixed(_ value: Double, digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var scale: UInt64 = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = UInt64((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        if digits == 0 { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(sign)\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }
}
