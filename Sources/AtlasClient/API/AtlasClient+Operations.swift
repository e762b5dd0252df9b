internal import AtlasWire

extension AtlasClient {
    public func get(_ key: Bytes, options: GetOptions) async throws(AtlasError) -> Entry? {
        let request = try WireGetRequest(key, options, seen: core.versionToShow)
        let implied = options.minVersion == nil ? request.minVersion : 0
        let (answer, _) = try await core.call(.get(request), timeout: options.timeout, sentMinVersion: implied)
        guard case .get(let response) = answer else { throw .wrongAnswer }
        if options.atVersion == nil { core.seen.note(response.version) }
        return Entry(key, response)
    }

    @discardableResult
    public func put(_ key: Bytes, _ value: Bytes, options: PutOptions) async throws(AtlasError) -> Written {
        let request = try WirePutRequest(key, value, options, requestID: RequestID())
        let (answer, hasOpenAttempt) = try await core.call(.put(request), timeout: options.timeout)
        guard case .put(let response) = answer else { throw .wrongAnswer }
        core.seen.note(max(response.version, response.currentVersion))
        return try settled(hasOpenAttempt) { () throws(AtlasError) in try Written(key, response) }
    }

    @discardableResult
    public func delete(_ key: Bytes, options: DeleteOptions) async throws(AtlasError) -> Deleted {
        let request = WireDeleteRequest(key, options, requestID: RequestID())
        let (answer, hasOpenAttempt) = try await core.call(.delete(request), timeout: options.timeout)
        guard case .delete(let response) = answer else { throw .wrongAnswer }
        core.seen.note(max(response.version, response.currentVersion))
        let deleted = try settled(hasOpenAttempt) { () throws(AtlasError) in try Deleted(key, response) }
        if hasOpenAttempt, !deleted.existed { throw .stillOpen }
        return deleted
    }

    public func scan(_ range: ScanRange, options: ScanOptions) -> Scan {
        Scan { [core] in RemoteScan(core, range, options) }
    }

    @discardableResult
    public func batch(_ batch: Batch, options: BatchOptions) async throws(AtlasError) -> BatchResult {
        let request = try WireBatchRequest(batch, options, requestID: RequestID())
        let (answer, hasOpenAttempt) = try await core.call(.batch(request), timeout: options.timeout)
        guard case .batch(let response) = answer else { throw .wrongAnswer }
        core.seen.note(response.highestVersion)
        let result = try settled(hasOpenAttempt) { () throws(AtlasError) in try BatchResult(batch, response) }
        if hasOpenAttempt, !result.changedSomething, batch.operations.contains(where: \.isWrite) { throw .stillOpen }
        return result
    }
}

/// A failed condition leaves nothing by which an earlier attempt, still on its way, would be recognised.
private func settled<Result>(
    _ hasOpenAttempt: Bool,
    _ result: () throws(AtlasError) -> Result
) throws(AtlasError) -> Result {
    do throws(AtlasError) {
        return try result()
    } catch {
        throw hasOpenAttempt ? error.with { $0.outcomeUnknown = true } : error
    }
}

extension BatchResult {
    fileprivate var changedSomething: Bool {
        results.contains { outcome in
            switch outcome {
            case .got: false
            case .written: true
            case .deleted(let deleted): deleted.existed
            }
        }
    }
}

extension Batch.Operation {
    fileprivate var isWrite: Bool {
        if case .get = self { false } else { true }
    }
}

extension WireBatchResponse {
    /// Of what was written and of what was read.
    fileprivate var highestVersion: Version {
        results.reduce(version) { max($0, $1.version, $1.currentVersion) }
    }
}

extension AtlasError {
    fileprivate static let stillOpen = AtlasError(
        .unavailable,
        "there was nothing to delete, but an earlier attempt was not answered and may still find something"
    ).with { $0.outcomeUnknown = true }
    fileprivate static let wrongAnswer = AtlasError(.internal, "the server gave the answer of another kind of call")
}
