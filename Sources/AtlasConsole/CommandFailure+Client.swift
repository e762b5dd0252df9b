package import AtlasClient

extension CommandFailure {
    /// A call of the client that failed.
    package init(_ error: AtlasError) {
        self.init(ExitStatus(error.code), code: error.code.description, error.message)
        details = Self.details(error.context)
        if error.code == .connection {
            message += ". Is the node running, and is --endpoint right?"
        }
    }

    /// What is known about the error, under the names of the error's fields.
    private static func details(_ context: AtlasError.Context) -> [(String, JSON)] {
        var fields: [(String, JSON)] = []
        func add<Value>(_ name: String, _ value: Value?, _ json: (Value) -> JSON) {
            if let value { fields.append((name, json(value))) }
        }
        add("endpoint", context.endpoint, JSON.string)
        add("current_version", context.currentVersion, JSON.version)
        add("failed_index", context.failedIndex) { .integer(Int64($0)) }
        add("tablet", context.tablet) { .integer($0) }
        add("owner_node", context.ownerNode, JSON.string)
        add("owner_address", context.ownerAddress, JSON.string)
        if !context.missingRegions.isEmpty {
            fields.append(("missing_regions", .array(context.missingRegions.map { .integer(Int64($0)) })))
        }
        if !context.missingNodes.isEmpty {
            fields.append(("missing_nodes", .array(context.missingNodes.map(JSON.string))))
        }
        add("retry_after_ms", context.retryAfter) { .integer(TimeLength($0).milliseconds) }
        add("limit", context.limit) { limit in
            .object([
                ("name", .string(limit.name)), ("actual", .integer(limit.actual)), ("allowed", .integer(limit.allowed)),
            ])
        }
        add("oldest_version", context.oldestVersion, JSON.version)
        add("newest_version", context.newestVersion, JSON.version)
        if context.outcomeUnknown { fields.append(("outcome_unknown", .bool(true))) }
        return fields
    }
}

extension ExitStatus {
    package init(_ code: AtlasError.Code) {
        switch code {
        case .conditionFailed:
            self = .negative
        case .invalidArgument, .keyEmpty, .keyTooLarge, .valueTooLarge, .batchTooLarge, .rangeEmpty, .requestIDExpired,
            .messageTooLarge, .versionNotRetained, .versionInFuture, .wrongCluster, .wrongNodeState, .unauthenticated,
            .permissionDenied:
            self = .usage
        case .deadlineExceeded, .cancelled:
            self = .unavailable
        default:
            self = code.isRetryable ? .unavailable : .failure
        }
    }
}
