import Testing

/// A rule of the house: what it forbids, found by reading a file.
struct Rule: Sendable, CustomTestStringConvertible {
    /// As in a sentence: "core imports only …".
    let name: String
    let violations: @Sendable (SourceFile) -> [Violation]
    /// Files that break the rule, to prove that it can fail.
    let badSamples: [Sample]
    /// Files that keep it, close to the bad ones.
    let goodSamples: [Sample]

    var testDescription: String { name }

    struct Sample: Sendable {
        let path: String
        let text: String

        init(_ path: String, _ text: String) {
            self.path = path
            self.text = text
        }

        var file: SourceFile { SourceFile(path: path, text: text) }
    }

    static let all: [Rule] = [
        .ownModulesBelow, .pureImports, .simulatorImports, .pureWords, .unseededRandomness, .openWork, .machinePaths,
        .fileLength, .functionLength, .uncheckedReason, .oneWriter,
    ]
}

struct Violation: CustomStringConvertible {
    let path: String
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}
