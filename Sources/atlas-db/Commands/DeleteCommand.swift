internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole

/// `atlas-db delete`.
struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Remove a key.",
        discussion: """
            Removing a key that does not exist succeeds, and says so. Exit code 1: a condition failed, and nothing was \
            changed.

            Examples:
              atlas-db delete user/1
              atlas-db delete user/1 --if-exists --previous -o json
            """
    )

    @Argument(help: "The key.") var key: String
    @OptionGroup var encoding: EncodingOptions
    @OptionGroup(title: "Conditions") var condition: ConditionOptions
    @OptionGroup(title: "Writing") var writing: WriteOptions
    @Flag(help: "Print what the key held before.") var previous = false
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let key = try encoding.bytes(key, "the key")
        var options = DeleteOptions()
        options.condition = try condition.condition(encoding)
        options.writeLevel = writing.level
        options.requestID = try writing.requestID()
        options.returnsPrevious = previous
        options.wantsReceipt = writing.receipt
        let deleted: Deleted
        do {
            deleted = try await endpoint.withClient { [options] in try await $0.delete(key, options: options) }
        } catch let error as AtlasError {
            throw Answer.failed(error, output.format, encoding, id: options.requestID ?? RequestID())
        }
        switch output.format {
        case .table: printText(deleted)
        case .json: printJSON(deleted)
        }
    }

    private func printText(_ deleted: Deleted) {
        var fields = [
            ("deleted", deleted.existed ? "yes" : "no, the key did not exist"), ("version", "\(deleted.version)"),
        ]
        if let previous = deleted.previous { fields.append(Answer.fields(previous: previous, encoding)) }
        if let receipt = deleted.receipt { fields += Answer.fields(receipt) }
        Console.write(FieldList.render(fields))
    }

    private func printJSON(_ deleted: Deleted) {
        var fields: [(String, JSON)] = [
            ("success", .bool(true)), ("existed", .bool(deleted.existed)), ("version", .version(deleted.version)),
        ]
        if let previous = deleted.previous { fields.append(("previous", Answer.json(previous, encoding))) }
        if let receipt = deleted.receipt { fields.append(("receipt", Answer.json(receipt))) }
        Console.write(JSON.object(fields).compact + "\n")
    }
}
