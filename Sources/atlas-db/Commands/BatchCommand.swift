internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole

/// `atlas-db batch`.
struct BatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch",
        abstract: "Apply several operations together, or none of them.",
        discussion: """
            Each argument is one operation in quotes: "put KEY VALUE", "get KEY" or "delete KEY". Behind it may stand \
            if-absent, if-exists, if-version N, if-value V; also ttl DURATION (of a put) and previous. Words with \
            spaces stand in quotes of their own. A get with a condition guards the batch.

            A file has one operation on each line, in the same words or as JSON with the fields op, key, value, \
            if_absent, if_exists, if_version, if_value, ttl, previous; key_hex, value_hex and if_value_hex are for \
            bytes that are no text.

            Exit code 1: a condition failed, and nothing was changed.

            Examples:
              atlas-db batch "put a 1" "put b 'two words'" "delete c if-version 7"
              atlas-db batch --file ./operations.jsonl
              echo '{"op":"put","key":"a","value":"1","if_absent":true}' | atlas-db batch --file -
            """
    )

    @Argument(help: "Operations.") var operations: [String] = []
    @Option(
        help: ArgumentHelp("Read operations from a file, one on each line; - is standard input.", valueName: "path")
    )
    var file: String?
    @OptionGroup var encoding: EncodingOptions
    @OptionGroup(title: "Writing") var writing: WriteOptions
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    /// The server takes fewer bytes, unless it is configured otherwise.
    static let fileSizeMax = 256 << 20

    func run() async throws {
        let parsed = try parse()
        guard !parsed.isEmpty else {
            throw CommandFailure.usage("there is no operation: give them as arguments or with --file")
        }
        var batch = Batch()
        for operation in parsed { operation.add(to: &batch) }
        var options = BatchOptions()
        options.writeLevel = writing.level
        options.requestID = try writing.requestID()
        options.wantsReceipt = writing.receipt
        let result: BatchResult
        do {
            result = try await endpoint.withClient { [batch, options] in try await $0.batch(batch, options: options) }
        } catch let error as AtlasError {
            throw Answer.failed(error, output.format, encoding, id: options.requestID ?? RequestID())
        }
        switch output.format {
        case .table: printText(result, parsed)
        case .json: printJSON(result, parsed)
        }
    }

    private func parse() throws -> [BatchOperation] {
        var parsed: [BatchOperation] = []
        for (index, text) in operations.enumerated() {
            parsed.append(try parse(text, place: "operation \(index + 1)"))
        }
        guard let file else { return parsed }
        let text = try FileBytes.read(file: file, sizeMax: Self.fileSizeMax)
        guard let lines = String(validating: text, as: UTF8.self) else {
            throw CommandFailure.usage("\(file) is not UTF-8; use key_hex and value_hex for bytes that are no text")
        }
        for (index, line) in lines.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where !line.allSatisfy(\.isWhitespace) {
            parsed.append(try parse(RawText.text(line.utf8), place: "\(file), line \(index + 1)"))
        }
        return parsed
    }

    private func parse(_ text: String, place: String) throws -> BatchOperation {
        do {
            if text.first(where: { !$0.isWhitespace }) == "{" { return try BatchOperation(json: text) }
            return try BatchOperation(words: text) { try encoding.bytes($0, "a key or value") }
        } catch let error as BatchSyntaxError {
            throw CommandFailure.usage("\(place): \(error.message)")
        }
    }
}

// MARK: - Output

extension BatchCommand {
    private func printText(_ result: BatchResult, _ operations: [BatchOperation]) {
        var table = TextTable([.left("OPERATION"), .left("KEY"), .right("VERSION"), .left("RESULT")])
        for (operation, outcome) in zip(operations, result.results) {
            let (version, text) = cells(outcome)
            table.add([operation.kind.rawValue, encoding.cell(operation.key), version, text])
        }
        Console.write(table.take())
        if let receipt = result.receipt { Console.write("\n" + FieldList.render(Answer.fields(receipt))) }
    }

    private func cells(_ outcome: BatchResult.OperationOutcome) -> (version: String, result: String) {
        switch outcome {
        case .got(nil): ("-", "not found")
        case .got(let entry?): ("\(entry.version)", encoding.cell(entry.value))
        case .written(let written): ("\(written.version)", "written" + suffix(written.previous))
        case .deleted(let deleted):
            ("\(deleted.version)", (deleted.existed ? "deleted" : "did not exist") + suffix(deleted.previous))
        }
    }

    private func suffix(_ previous: Entry?) -> String {
        previous.map { ", before: \(encoding.cell($0.value)) (version \($0.version))" } ?? ""
    }

    private func printJSON(_ result: BatchResult, _ operations: [BatchOperation]) {
        let results = zip(operations, result.results).map { operation, outcome in
            JSON.object(
                [("op", .string(operation.kind.rawValue)), encoding.field("key", operation.key)] + self.fields(outcome)
            )
        }
        var fields: [(String, JSON)] = [
            ("success", .bool(true)), ("version", .version(result.version)), ("results", .array(results)),
        ]
        if let receipt = result.receipt { fields.append(("receipt", Answer.json(receipt))) }
        Console.write(JSON.object(fields).compact + "\n")
    }

    private func fields(_ outcome: BatchResult.OperationOutcome) -> [(String, JSON)] {
        switch outcome {
        case .got(nil):
            return [("found", .bool(false))]
        case .got(let entry?):
            return [
                ("found", .bool(true)), encoding.field("value", entry.value), ("version", .version(entry.version)),
            ]
        case .written(let written):
            return [("version", .version(written.version))] + previous(written.previous)
        case .deleted(let deleted):
            return [("existed", .bool(deleted.existed)), ("version", .version(deleted.version))]
                + previous(deleted.previous)
        }
    }

    private func previous(_ entry: Entry?) -> [(String, JSON)] {
        entry.map { [("previous", Answer.json($0, encoding))] } ?? []
    }
}
