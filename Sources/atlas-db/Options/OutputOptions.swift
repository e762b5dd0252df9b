internal import ArgumentParser

/// How results are printed.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// For people.
    case table
    /// For programs.
    case json

    /// The format that a command line asks for, as far as can be told without parsing it: errors of parsing are printed
    /// in it too.
    static func given(in arguments: [String]) -> OutputFormat {
        var isNext = false
        for argument in arguments {
            if argument == "--" { break }
            if isNext { return OutputFormat(rawValue: argument) ?? .table }
            isNext = argument == "-o" || argument == "--output"
            for prefix in ["--output=", "-o="] where argument.hasPrefix(prefix) {
                return OutputFormat(rawValue: String(argument.dropFirst(prefix.count))) ?? .table
            }
        }
        return .table
    }
}

struct OutputOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "How to print: table for people, json for programs."
    )
    var format = OutputFormat.table
}
