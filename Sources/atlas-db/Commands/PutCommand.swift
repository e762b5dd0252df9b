internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole

/// `atlas-db put`.
struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Write a key.",
        discussion: """
            Exit code 1: a condition failed, and nothing was changed.

            Examples:
              atlas-db put user/1 Ada
              atlas-db put lock/report worker-3 --if-absent --ttl 30s
              atlas-db put image/7 --file ./image.png
              atlas-db put --hex 00ff cafe
              date | atlas-db put today --file -
            """
    )

    @Argument(help: "The key.") var key: String
    @Argument(help: "The value; or use --file.") var value: String?
    @Option(help: ArgumentHelp("Read the value from a file as it is; - is standard input.", valueName: "path"))
    var file: String?
    @Option(help: ArgumentHelp("The key counts as absent so long after the write.", valueName: "duration"))
    var ttl: TimeLength?
    @OptionGroup var encoding: EncodingOptions
    @OptionGroup(title: "Conditions") var condition: ConditionOptions
    @OptionGroup(title: "Writing") var writing: WriteOptions
    @Flag(help: "Print what the key held before.") var previous = false
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    /// Of a value that is read from a file; the server's own limit is lower unless it is configured otherwise.
    static let fileSizeMax = 256 << 20

    func run() async throws {
        let key = try encoding.bytes(key, "the key")
        let value = try valueBytes()
        var options = PutOptions()
        options.condition = try condition.condition(encoding)
        options.ttl = ttl?.duration
        options.writeLevel = writing.level
        options.requestID = try writing.requestID()
        options.returnsPrevious = previous
        options.wantsReceipt = writing.receipt
        let written: Written
        do {
            written = try await endpoint.withClient { [options] in try await $0.put(key, value, options: options) }
        } catch let error as AtlasError {
            throw Answer.failed(error, output.format, encoding, id: options.requestID ?? RequestID())
        }
        switch output.format {
        case .table: printText(written)
        case .json: printJSON(written)
        }
    }

    private func valueBytes() throws(CommandFailure) -> Bytes {
        switch (value, file) {
        case (let value?, nil): return try encoding.bytes(value, "the value")
        case (nil, let file?): return Bytes(try FileBytes.read(file: file, sizeMax: Self.fileSizeMax))
        case (nil, nil): throw .usage("the value is missing: give it behind the key, or with --file")
        case (_?, _?): throw .usage("give the value behind the key or with --file, not both")
        }
    }

    private func printText(_ written: Written) {
        var fields = [("version", "\(written.version)")]
        if let previous = written.previous { fields.append(Answer.fields(previous: previous, encoding)) }
        if let receipt = written.receipt { fields += Answer.fields(receipt) }
        Console.write(FieldList.render(fields))
    }

    private func printJSON(_ written: Written) {
        var fields: [(String, JSON)] = [("success", .bool(true)), ("version", .version(written.version))]
        if let previous = written.previous { fields.append(("previous", Answer.json(previous, encoding))) }
        if let receipt = written.receipt { fields.append(("receipt", Answer.json(receipt))) }
        Console.write(JSON.object(fields).compact + "\n")
    }
}
