package import AtlasWire

// From answers to results. A failed condition becomes an error here.

extension Entry {
    /// - Returns: `nil` if the key was absent.
    package init?(_ key: Bytes, _ response: WireGetResponse) {
        guard response.found else { return nil }
        self.init(key: key, value: Bytes(response.value), version: response.version)
        receipt = response.receipt.map(Receipt.init)
    }

    package init(_ item: WireScanItem) {
        self.init(key: Bytes(item.key), value: Bytes(item.value), version: item.version)
    }

    fileprivate init(_ key: Bytes, _ previous: WirePrevious) {
        self.init(key: key, value: Bytes(previous.value), version: previous.version)
    }
}

extension Written {
    package init(_ key: Bytes, _ response: WirePutResponse) throws(AtlasError) {
        let previous = response.previous.map { Entry(key, $0) }
        guard response.success else {
            throw .conditionFailed(key, response.error, currentVersion: response.currentVersion, previous: previous)
        }
        version = response.version
        self.previous = previous
        receipt = response.receipt.map(Receipt.init)
    }
}

extension Deleted {
    package init(_ key: Bytes, _ response: WireDeleteResponse) throws(AtlasError) {
        let previous = response.previous.map { Entry(key, $0) }
        guard response.success else {
            throw .conditionFailed(key, response.error, currentVersion: response.currentVersion, previous: previous)
        }
        existed = response.existed
        version = response.version
        self.previous = previous
        receipt = response.receipt.map(Receipt.init)
    }
}

extension BatchResult {
    package init(_ batch: Batch, _ response: WireBatchResponse) throws(AtlasError) {
        guard response.results.count == batch.count else {
            throw AtlasError(
                .internal,
                "the server answered \(batch.count) operations with \(response.results.count) results"
            )
        }
        guard response.success else { throw Self.failure(batch, response) }
        version = response.version
        results = zip(batch.operations, response.results).map { OperationOutcome($0, $1) }
        receipt = response.receipt.map(Receipt.init)
    }

    private static func failure(_ batch: Batch, _ response: WireBatchResponse) -> AtlasError {
        let index = Int(response.failedIndex)
        guard batch.operations.indices.contains(index) else {
            return AtlasError(.internal, "the server says that operation \(index) failed, which there is not")
        }
        let failed = response.results[index]
        let key = batch.operations[index].key
        return .conditionFailed(
            key,
            failed.error,
            currentVersion: failed.currentVersion,
            previous: failed.previous.map { Entry(key, $0) },
            index: index
        )
    }
}

extension BatchResult.OperationOutcome {
    fileprivate init(_ operation: Batch.Operation, _ result: WireOperationResult) {
        switch operation {
        case .get(let key, _):
            guard result.found else {
                self = .got(nil)
                return
            }
            self = .got(Entry(key: key, value: Bytes(result.value), version: result.version))
        case .put(let key, _, _, _, _):
            self = .written(Written(version: result.version, previous: result.previous.map { Entry(key, $0) }))
        case .delete(let key, _, _):
            self = .deleted(
                Deleted(
                    existed: result.found,
                    version: result.version,
                    previous: result.previous.map { Entry(key, $0) }
                )
            )
        }
    }
}

extension Batch.Operation {
    fileprivate var key: Bytes {
        switch self {
        case .get(let key, _), .put(let key, _, _, _, _), .delete(let key, _, _): key
        }
    }
}

extension Scan.Page {
    package init(_ response: WireScanResponse) {
        self.init(
            entries: response.items.map(Entry.init),
            snapshotVersion: response.snapshotVersion,
            receipt: response.receipt.map(Receipt.init)
        )
    }
}

extension Receipt {
    init(_ receipt: WireReceipt) {
        ownerNode = receipt.ownerNode
        ownerRegion = Int(receipt.ownerRegion)
        ballot = receipt.ballot.map { "\($0.counter).\($0.node)" + ($0.handoff == 0 ? "" : "+\($0.handoff)") } ?? ""
        tablet = receipt.tablet
        slot = receipt.slot
        path =
            switch receipt.path {
            case .fast: .fast
            case .slow: .slow
            case .forwarded: .forwarded
            case .local: .local
            case .unspecified, .UNRECOGNIZED: .unknown
            }
        quorumRegions = receipt.quorumRegions.map(Int.init)
        staleness = receipt.staleness == .max ? nil : .milliseconds(Int64(clamping: receipt.staleness))
        serverTime = .microseconds(Int64(clamping: receipt.serverTime))
    }
}
