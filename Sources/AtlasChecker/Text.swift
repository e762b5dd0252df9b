internal import AtlasTypes

/// How histories are shown to people.
enum Text {
    private static let bytesMax = 40

    /// Printable bytes as they are, others in hexadecimal.
    static func of(_ bytes: [UInt8]) -> String {
        let shown = bytes.prefix(bytesMax)
        let isPrintable = shown.allSatisfy { (0x20..<0x7F).contains($0) && $0 != 0x22 }
        let text =
            if isPrintable {
                "\"" + String(decoding: shown, as: UTF8.self) + "\""
            } else {
                "0x" + Hex.text(shown)
            }
        return bytes.count > bytesMax ? text + "… (\(bytes.count) bytes)" : text
    }

    static func of(_ observation: History.Observation) -> String {
        switch observation {
        case .unknown: "?"
        case .absent: "absent"
        case .found(let value, let version):
            (value.map { of($0) } ?? "a value") + (version.map { " at version \($0)" } ?? "")
        }
    }

    static func of(_ condition: History.Condition) -> String {
        switch condition {
        case .absent: "absent"
        case .exists: "exists"
        case .version(let version): "version \(version)"
        case .valueEquals(let value): "value \(of(value))"
        }
    }

    static func of(_ step: History.Step) -> String {
        let text =
            switch step.kind {
            case .get: "get \(of(step.key))"
            case .put(let value): "put \(of(step.key)) = \(of(value))"
            case .delete: "delete \(of(step.key))"
            }
        return step.condition.map { "\(text) if \(of($0))" } ?? text
    }

    static func of(_ action: History.Action) -> String {
        switch action {
        case .batch(let steps) where steps.count == 1:
            return of(steps[0])
        case .batch(let steps):
            return "batch { " + steps.map { of($0) }.joined(separator: "; ") + " }"
        case .scan(let scan):
            let end = scan.end.map { of($0) } ?? "end"
            let limit = scan.limit > 0 ? " limit \(scan.limit)" : ""
            return "scan \(of(scan.start))..<\(end)\(limit)\(scan.reverse ? " reverse" : "")"
        }
    }

    static func of(_ outcome: History.Outcome) -> String {
        switch outcome {
        case .applied(let version, let results):
            let parts = (version.map { ["version \($0)"] } ?? []) + results.map { of($0) }
            return parts.isEmpty ? "ok" : "ok " + parts.joined(separator: ", ")
        case .conditionFailed(let step, let current):
            return "condition of step \(step) failed, current \(of(current))"
        case .scanned(let items, let version):
            let shown = items.map { "\(of($0.key)): \(of(History.Observation.found($0.value, version: $0.version)))" }
            return "[\(shown.joined(separator: ", "))]" + (version.map { " at version \($0)" } ?? "")
        case .unknown: return "outcome unknown"
        case .refused: return "refused"
        }
    }

    static func of(_ consistency: History.Consistency) -> String {
        switch consistency {
        case .consistent: ""
        case .weak(let weak): " (weak, claims \(weak.claim), min_version \(weak.minVersion))"
        case .at(let version): " (as of \(version))"
        }
    }

    /// One line.
    static func of(_ operation: History.Operation, number: Int) -> String {
        let end = operation.response.map { String($0) } ?? "∞"
        let what = of(operation.action) + of(operation.consistency)
        return "#\(number) client \(operation.process) [\(operation.call), \(end)] \(what) → \(of(operation.outcome))"
    }
}

extension History {
    /// One line on operation `number`.
    func line(_ number: Int) -> String {
        Text.of(operations[number], number: number)
    }

    /// A message with the operations that show it, each on a line of its own.
    func message(_ text: String, _ numbers: [Int]) -> String {
        ([text] + numbers.map { "  " + line($0) }).joined(separator: "\n")
    }
}
