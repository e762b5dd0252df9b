import Foundation

/// What the sources in proto/ say of the services and their messages.
struct ProtoSource {
    struct Field {
        let name: String
        let type: String
        let number: UInt64
    }

    struct Method {
        let path: String
        let request: String
    }

    private(set) var messages: [String: [Field]] = [:]
    private(set) var enums: Set<String> = []
    private(set) var methods: [Method] = []

    /// Types of fields that hold no number.
    static let otherTypes: Set<String> = ["bytes", "string", "bool"]
    static let numberTypes: Set<String> = ["int32", "int64", "uint32", "uint64", "fixed64"]

    init(_ names: [String]) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../proto")
        for name in names { read(try String(contentsOf: root.appending(path: name), encoding: .utf8)) }
    }

    private mutating func read(_ text: String) {
        var package = ""
        /// The blocks around a line: what they are and their names.
        var blocks: [(kind: Substring, name: String)] = []
        for line in text.split(separator: "\n") {
            let line = line.firstRange(of: "//").map { line[..<$0.lowerBound] } ?? line
            let words = line.split { " ;(){}=".contains($0) }
            guard let first = words.first else {
                if line.contains("}") { blocks.removeLast() }
                continue
            }
            if first == "package" { package = String(words[1]) }
            if first == "rpc" {
                let request = String(words[2] == "stream" ? words[3] : words[2])
                methods.append(Method(path: "/\(package).\(blocks.last!.name)/\(words[1])", request: request))
            } else if line.contains("{"), ["message", "enum", "service", "oneof"].contains(first) {
                if first == "enum" { enums.insert(String(words[1])) }
                if first == "message" { messages[String(words[1])] = [] }
                if !line.contains("}") { blocks.append((first, String(words[1]))) }
            } else if let message = blocks.last(where: { $0.kind == "message" })?.name, blocks.last?.kind != "enum",
                line.contains("=")
            {
                let field = words.drop { ["optional", "repeated"].contains($0) }.map(String.init)
                messages[message]!.append(Field(name: field[1], type: field[0], number: UInt64(field[2])!))
            }
        }
    }
}
