package import AtlasWire
internal import AtlasTypes

// From options to requests. What only the server can judge (limits, ranges) is left to it.

extension WireGetRequest {
    /// - Parameter seen: the version that the answer shows at least, unless the options say otherwise; 0: none.
    package init(_ key: Bytes, _ options: GetOptions, seen: Version = 0) throws(AtlasError) {
        self.init()
        self.key = key.array
        consistency = Atlas_Consistency(options.consistency)
        maxStaleness = try options.maxStaleness.milliseconds("maxStaleness")
        minVersion = options.minVersion ?? (options.atVersion == nil ? seen : 0)
        atVersion = options.atVersion ?? 0
        wantReceipt = options.wantsReceipt
    }
}

extension WirePutRequest {
    /// - Parameter requestID: the write's name, unless the options have one; `nil`: none.
    package init(
        _ key: Bytes,
        _ value: Bytes,
        _ options: PutOptions,
        requestID: RequestID?
    ) throws(AtlasError) {
        self.init()
        self.key = key.array
        self.value = value.array
        condition = options.condition.map(WireCondition.init)
        ttl = try options.ttl.milliseconds("ttl")
        writeLevel = Atlas_WriteLevel(options.writeLevel)
        self.requestID = WireRequestID(options.requestID ?? requestID)
        returnPrevious = options.returnsPrevious
        wantReceipt = options.wantsReceipt
    }
}

extension WireDeleteRequest {
    /// - Parameter requestID: the write's name, unless the options have one; `nil`: none.
    package init(_ key: Bytes, _ options: DeleteOptions, requestID: RequestID?) {
        self.init()
        self.key = key.array
        condition = options.condition.map(WireCondition.init)
        writeLevel = Atlas_WriteLevel(options.writeLevel)
        self.requestID = WireRequestID(options.requestID ?? requestID)
        returnPrevious = options.returnsPrevious
        wantReceipt = options.wantsReceipt
    }
}

extension WireBatchRequest {
    /// - Parameter requestID: the write's name, unless the options have one; `nil`: none.
    package init(_ batch: Batch, _ options: BatchOptions, requestID: RequestID?) throws(AtlasError) {
        self.init()
        operations.reserveCapacity(batch.count)
        for operation in batch.operations { operations.append(try WireOperation(operation)) }
        writeLevel = Atlas_WriteLevel(options.writeLevel)
        self.requestID = WireRequestID(options.requestID ?? requestID)
        wantReceipt = options.wantsReceipt
    }
}

extension WireOperation {
    init(_ operation: Batch.Operation) throws(AtlasError) {
        self.init()
        switch operation {
        case .get(let key, let condition):
            type = .get
            self.key = key.array
            self.condition = condition.map(WireCondition.init)
        case .put(let key, let value, let condition, let ttl, let returnsPrevious):
            type = .put
            self.key = key.array
            self.value = value.array
            self.condition = condition.map(WireCondition.init)
            self.ttl = try ttl.milliseconds("ttl")
            returnPrevious = returnsPrevious
        case .delete(let key, let condition, let returnsPrevious):
            type = .delete
            self.key = key.array
            self.condition = condition.map(WireCondition.init)
            returnPrevious = returnsPrevious
        }
    }
}

extension WireScanRequest {
    /// - Parameter seen: the version that the answer shows at least, unless the options say otherwise; 0: none.
    package init(_ range: ScanRange, _ options: ScanOptions, seen: Version = 0) throws(AtlasError) {
        self.init()
        startKey = range.start.array
        endKey = range.end?.array ?? []
        prefix = range.prefix.array
        if let end = range.end, end <= range.start {
            throw AtlasError(.rangeEmpty, "the end of the range is not above its start")
        }
        if let wanted = options.limit {
            guard wanted > 0, let wanted = Int32(exactly: wanted) else {
                throw AtlasError(.invalidArgument, "a scan's limit is between 1 and \(Int32.max), not \(wanted)")
            }
            limit = wanted
        }
        guard options.pageEntriesMax > 0 else {
            throw AtlasError(.invalidArgument, "pageEntriesMax is \(options.pageEntriesMax), and must be at least 1")
        }
        reverse = options.reverse
        keysOnly = options.keysOnly
        consistency = Atlas_Consistency(options.consistency)
        maxStaleness = try options.maxStaleness.milliseconds("maxStaleness")
        minVersion = options.minVersion ?? (options.atVersion == nil ? seen : 0)
        atVersion = options.atVersion ?? 0
        wantReceipt = options.wantsReceipt
        itemsPerMessage = UInt32(clamping: options.pageEntriesMax)
    }

    /// What is left of the scan behind a page of it: the same snapshot, from the key after the last one.
    /// - Returns: false if nothing is left.
    package mutating func resume(behind page: Scan.Page) -> Bool {
        guard let last = page.entries.last else { return false }
        atVersion = page.snapshotVersion
        minVersion = 0
        wantReceipt = false
        if reverse { endKey = last.key.array } else { startKey = last.key.array + [0] }
        guard limit > 0 else { return true }
        limit -= Int32(clamping: page.entries.count)
        return limit > 0
    }
}

// MARK: - Options

extension WireCondition {
    init(_ condition: Condition) {
        switch condition {
        case .absent: self = .absent(true)
        case .exists: self = .exists(true)
        case .version(let version): self = .version(version)
        case .valueEquals(let value): self = .valueEquals(value.array)
        }
    }
}

extension WireRequestID {
    fileprivate init(_ id: RequestID?) {
        self = id.map { .id($0.wire) } ?? .none
    }
}

extension Atlas_Consistency {
    fileprivate init(_ consistency: Consistency?) {
        self =
            switch consistency {
            case .local: .local
            case .nearest: .nearest
            case .consistent: .consistent
            case nil: .unspecified
            }
    }
}

extension Atlas_WriteLevel {
    fileprivate init(_ level: WriteLevel?) {
        self =
            switch level {
            case .local: .local
            case .global: .global
            case nil: .unspecified
            }
    }
}

extension Duration? {
    /// As requests carry it: `nil` is 0, and a part of a millisecond counts as a whole one.
    fileprivate func milliseconds(_ name: String) throws(AtlasError) -> UInt64 {
        guard let self else { return 0 }
        guard self > .zero else { throw AtlasError(.invalidArgument, "\(name) is \(self), and must be positive") }
        return self.millisecondsUp
    }
}
