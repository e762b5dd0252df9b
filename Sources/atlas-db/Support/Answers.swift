internal import ArgumentParser
internal import AtlasClient
internal import enum AtlasTypes.Hex
internal import AtlasConsole

/// Answers of the database as text and as JSON.
enum Answer {
    /// The answer was no: the key does not exist, or a condition failed. Programs get an object like that of success,
    /// on standard output; people get a sentence, on standard error.
    static func negative(
        _ format: OutputFormat,
        code: String,
        _ message: String,
        _ fields: [(String, JSON)]
    ) -> any Error {
        switch format {
        case .table:
            return CommandFailure(.negative, code: code, message)
        case .json:
            Console.write(JSON.object(fields).compact + "\n")
            return ExitCode(ExitStatus.negative.rawValue)
        }
    }

    /// A write that failed: a condition is an answer, and an unknown outcome can be settled.
    static func failed(
        _ error: AtlasError,
        _ format: OutputFormat,
        _ encoding: EncodingOptions,
        id: RequestID
    ) -> any Error {
        if error.code == .conditionFailed, !error.outcomeUnknown {
            var fields: [(String, JSON)] = [
                ("success", .bool(false)), ("code", .string(error.code.description)), ("error", .string(error.message)),
                ("current_version", .version(error.currentVersion)),
            ]
            if let index = error.context.failedIndex { fields.append(("failed_index", .integer(Int64(index)))) }
            if let previous = error.context.previous { fields.append(("previous", json(previous, encoding))) }
            return negative(format, code: error.code.description, "nothing was changed: \(error.message)", fields)
        }
        var failure = CommandFailure(error)
        if error.outcomeUnknown {
            failure.message += " (the write may have taken effect; the same with --request-id \(id) settles it)"
            failure.details.append(("request_id", .string(id.description)))
        }
        return failure
    }

    /// What a key held.
    static func json(_ entry: Entry, _ encoding: EncodingOptions) -> JSON {
        .object([encoding.field("value", entry.value), ("version", .version(entry.version))])
    }

    static func json(_ receipt: Receipt) -> JSON {
        .object([
            ("owner_node", .string(receipt.ownerNode)),
            ("owner_region", .integer(Int64(receipt.ownerRegion))),
            ("ballot", .string(receipt.ballot)),
            ("tablet", .integer(receipt.tablet)),
            ("slot", .integer(receipt.slot)),
            ("path", .string(receipt.path.rawValue)),
            ("quorum_regions", .array(receipt.quorumRegions.map { .integer(Int64($0)) })),
            ("staleness_us", receipt.staleness.map { .integer($0.microseconds) } ?? .null),
            ("server_time_us", .integer(receipt.serverTime.microseconds)),
        ])
    }

    /// Lines for a `FieldList`.
    static func fields(_ receipt: Receipt) -> [(String, String)] {
        let regions = receipt.quorumRegions.map(String.init).joined(separator: ", ")
        return [
            ("owner", "\(receipt.ownerNode) (region \(receipt.ownerRegion))"),
            ("ballot", receipt.ballot),
            ("tablet", "\(receipt.tablet)"),
            ("slot", "\(receipt.slot)"),
            ("path", receipt.path.rawValue),
            ("quorum", regions.isEmpty ? "-" : "regions \(regions)"),
            ("staleness", receipt.staleness.map { Quantity.time(microseconds: $0.microseconds) } ?? "not known"),
            ("server time", Quantity.time(microseconds: receipt.serverTime.microseconds)),
        ]
    }

    static func fields(previous: Entry, _ encoding: EncodingOptions) -> (String, String) {
        ("previous", "\(encoding.cell(previous.value)) (version \(previous.version))")
    }
}
