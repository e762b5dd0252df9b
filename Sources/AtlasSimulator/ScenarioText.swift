internal import AtlasCore

/// Why a scenario file cannot be used.
package struct ScenarioError: Error, CustomStringConvertible {
    /// From 1; 0 where no line is to blame.
    package var line = 0
    package var reason: String

    init(_ reason: String) {
        self.reason = reason
    }

    package var description: String {
        line > 0 ? "line \(line): \(reason)" : reason
    }
}

/// Values as they are written in scenario files.
enum ScenarioText {
    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
    ]

    /// Nanoseconds of a day, so that nothing overflows.
    private static let timeMax: UInt64 = 86_400 * 1_000_000_000

    /// In the largest unit that leaves no fraction.
    static func time(_ nanoseconds: UInt64) -> String {
        let unit = units.first { nanoseconds >= $0.nanoseconds && nanoseconds.isMultiple(of: $0.nanoseconds) }
        guard let unit else { return "0" }
        return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
    }

    static func time(_ word: String) throws(ScenarioError) -> UInt64 {
        if word == "0" { return 0 }
        let digits = word.prefix { $0.isNumber }
        let name = word.dropFirst(digits.count)
        guard let number = UInt64(digits), let unit = units.first(where: { $0.name == name }) else {
            throw ScenarioError("“\(word)” is no time; write it like 1200ms, 3s, 500us")
        }
        guard number <= timeMax / unit.nanoseconds else { throw ScenarioError("“\(word)” is more than a day") }
        return number * unit.nanoseconds
    }

    static func int(_ word: String) throws(ScenarioError) -> Int {
        guard let number = Int(word), (0...1 << 40).contains(number) else {
            throw ScenarioError("“\(word)” is no whole number")
        }
        return number
    }

    static func flag(_ word: String) throws(ScenarioError) -> Bool {
        switch word {
        case "on": return true
        case "off": return false
        default: throw ScenarioError("“\(word)” is neither on nor off")
        }
    }

    /// `5%` or `0.5%` in thousandths.
    static func percent(_ word: String) throws(ScenarioError) -> Int {
        let parts = word.dropLast().split(separator: ".", omittingEmptySubsequences: false)
        guard word.last == "%", (1...2).contains(parts.count), let whole = Int(parts[0]), (0...100).contains(whole)
        else {
            throw ScenarioError("“\(word)” is no percentage; write it like 5% or 0.5%")
        }
        var tenths = 0
        if parts.count == 2 {
            guard parts[1].count == 1, let digit = Int(parts[1]), digit >= 0 else {
                throw ScenarioError("“\(word)” has more than one digit behind the point")
            }
            tenths = digit
        }
        return min(1_000, whole * 10 + tenths)
    }

    static func policy(_ policy: StealPolicy) -> String {
        switch policy {
        case .none: "none"
        case .immediate: "immediate"
        case .consecutive(let count): "consecutive \(count)"
        case .majority(let interval): "majority \(interval)ms"
        case .ema(let alpha): "ema \(alpha)"
        case .adaptive: "adaptive"
        }
    }

    static func policy(_ words: [String]) throws(ScenarioError) -> StealPolicy {
        switch (words.first, words.count) {
        case ("none", 1): return .none
        case ("immediate", 1): return .immediate
        case ("adaptive", 1): return .adaptive(AdaptivePolicy())
        case ("consecutive", 2): return .consecutive(count: try int(words[1]))
        case ("majority", 2): return .majority(intervalMilliseconds: try time(words[1]) / 1_000_000)
        case ("ema", 2): return .ema(alphaPermille: try int(words[1]))
        default:
            throw ScenarioError(
                "a policy is none, immediate, adaptive, consecutive COUNT, majority TIME or ema PERMILLE"
            )
        }
    }
}
