internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole

/// `atlas-db get`.
struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Read a key.",
        discussion: """
            Prints the value and a newline; on a terminal, a binary value is escaped. --file writes the value exactly \
            as it is. Exit code 1: the key does not exist.

            Examples:
              atlas-db get user/1
              atlas-db get user/1 --consistency consistent -o json
              atlas-db get image/7 --file ./image.png
            """
    )

    @Argument(help: "The key.") var key: String
    @Option(help: ArgumentHelp("Write the value to a file; - is standard output.", valueName: "path"))
    var file: String?
    @OptionGroup var encoding: EncodingOptions
    @OptionGroup(title: "Reading") var reading: ReadOptions
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let key = try encoding.bytes(key, "the key")
        let options = reading.get()
        let entry = try await endpoint.withClient { try await $0.get(key, options: options) }
        guard let entry else {
            throw Answer.negative(
                output.format,
                code: "not_found",
                "the key \(encoding.cell(key)) does not exist",
                [encoding.field("key", key), ("found", .bool(false))]
            )
        }
        if let file { try FileBytes.write(entry.value.array, toFile: file) }
        switch output.format {
        case .table: printText(entry)
        case .json: if file != "-" { printJSON(entry) }
        }
    }

    private func printText(_ entry: Entry) {
        if file == nil { Console.write(text(entry.value) + [UInt8(ascii: "\n")]) }
        guard let receipt = entry.receipt else { return }
        Console.writeError(FieldList.render([("version", "\(entry.version)")] + Answer.fields(receipt)))
    }

    private func text(_ value: Bytes) -> [UInt8] {
        if encoding.hex { return Array(value.hex.utf8) }
        let isSafe = !Console.outputIsTerminal || BytesText.plainText(value.array) != nil
        return isSafe ? value.array : Array(BytesText.escaped(value.array).utf8)
    }

    private func printJSON(_ entry: Entry) {
        var fields = [encoding.field("key", entry.key), ("found", .bool(true))]
        if file == nil { fields.append(encoding.field("value", entry.value)) }
        fields.append(("version", .version(entry.version)))
        if let receipt = entry.receipt { fields.append(("receipt", Answer.json(receipt))) }
        Console.write(JSON.object(fields).compact + "\n")
    }
}
