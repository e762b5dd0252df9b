internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole

/// `atlas-db scan`.
struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "List the keys of a range in order, all from one snapshot.",
        discussion: """
            With -o json every line is an object of its own. In tables, what is no printable text is escaped (\\x00), \
            and on a terminal long values are cut.

            Examples:
              atlas-db scan --prefix user/
              atlas-db scan --from a --to m --reverse --limit 10
              atlas-db scan --keys-only -o json | wc -l
            """
    )

    @Option(help: ArgumentHelp("Only keys that begin with this.", valueName: "key"))
    var prefix: String?
    @Option(help: ArgumentHelp("From this key on.", valueName: "key"))
    var from: String?
    @Option(help: ArgumentHelp("Up to this key, exclusive.", valueName: "key"))
    var to: String?
    @Option(help: ArgumentHelp("At most so many keys; 0: all.", valueName: "count"))
    var limit = 0
    @Flag(help: "From the last key to the first.") var reverse = false
    @Flag(help: "Leave the values out.") var keysOnly = false
    @OptionGroup var encoding: EncodingOptions
    @OptionGroup(title: "Reading") var reading: ReadOptions
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard limit >= 0 else { throw ValidationError("--limit must be 0 (all) or more") }
    }

    func run() async throws {
        let range = try range()
        let options = options()
        var printer = ScanPrinter(output.format, encoding, keysOnly: keysOnly)
        let summary = try await endpoint.withClient { client in
            var summary = Summary()
            for try await page in client.scan(range, options: options).pages {
                printer.print(page.entries)
                summary.add(page)
            }
            return summary
        }
        printer.finish()
        if reading.receipt { printReceipt(summary) }
    }

    private func range() throws(CommandFailure) -> ScanRange {
        var range = ScanRange.all
        if let prefix { range.prefix = try encoding.bytes(prefix, "--prefix") }
        if let from { range.start = try encoding.bytes(from, "--from") }
        if let to { range.end = try encoding.bytes(to, "--to") }
        return range
    }

    private func options() -> ScanOptions {
        var options = ScanOptions()
        options.limit = limit == 0 ? nil : limit
        options.reverse = reverse
        options.keysOnly = keysOnly
        options.consistency = reading.level
        options.atVersion = reading.atVersion
        options.minVersion = reading.minVersion
        options.maxStaleness = reading.maxStaleness?.duration
        options.wantsReceipt = reading.receipt
        return options
    }

    /// What a scan says about itself besides its entries.
    private struct Summary: Sendable {
        var entries: UInt64 = 0
        var snapshotVersion: Version = 0
        var receipt: Receipt?

        mutating func add(_ page: Scan.Page) {
            entries += UInt64(page.entries.count)
            snapshotVersion = page.snapshotVersion
            receipt = receipt ?? page.receipt
        }
    }

    private func printReceipt(_ summary: Summary) {
        switch output.format {
        case .table:
            let fields = [("keys", Quantity.count(summary.entries)), ("snapshot", "\(summary.snapshotVersion)")]
            Console.writeError(FieldList.render(fields + (summary.receipt.map(Answer.fields) ?? [])))
        case .json:
            let fields: [(String, JSON)] = [
                ("keys", .integer(summary.entries)), ("snapshot_version", .version(summary.snapshotVersion)),
                ("receipt", summary.receipt.map(Answer.json) ?? .null),
            ]
            Console.writeError(JSON.object(fields).compact + "\n")
        }
    }
}

/// Prints entries as they arrive, in memory that does not grow with the scan.
private struct ScanPrinter {
    /// Columns are aligned among so many rows.
    private static let rowsAtOnce = 256
    /// Longer values are cut on a terminal.
    private static let cellMaxCharacters = 100

    private let format: OutputFormat
    private let encoding: EncodingOptions
    private let keysOnly: Bool
    private let cutsCells: Bool
    private var table: TextTable

    init(_ format: OutputFormat, _ encoding: EncodingOptions, keysOnly: Bool) {
        self.format = format
        self.encoding = encoding
        self.keysOnly = keysOnly
        cutsCells = Console.outputIsTerminal
        table = TextTable([.left("KEY"), .right("VERSION")] + (keysOnly ? [] : [.left("VALUE")]))
    }

    mutating func print(_ entries: [Entry]) {
        switch format {
        case .json:
            Console.write(entries.map { json($0).compact + "\n" }.joined())
        case .table:
            for entry in entries {
                table.add([cell(entry.key), "\(entry.version)"] + (keysOnly ? [] : [cell(entry.value)]))
                if table.rowCount == Self.rowsAtOnce { Console.write(table.take()) }
            }
        }
    }

    /// A table has its heading even if there is nothing in it.
    mutating func finish() {
        if format == .table { Console.write(table.take()) }
    }

    private func cell(_ bytes: Bytes) -> String {
        guard cutsCells, bytes.count > Self.cellMaxCharacters else { return encoding.cell(bytes) }
        let shown = encoding.cell(Bytes(bytes.array.prefix(Self.cellMaxCharacters)))
        return "\(shown)… (\(Quantity.bytes(UInt64(bytes.count))))"
    }

    private func json(_ entry: Entry) -> JSON {
        var fields = [encoding.field("key", entry.key)]
        if !keysOnly { fields.append(encoding.field("value", entry.value)) }
        return .object(fields + [("version", .version(entry.version))])
    }
}
