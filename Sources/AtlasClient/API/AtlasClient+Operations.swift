internal import AtlasProtobuf

extension AtlasClient {
    public func get(_ key: Bytes, options: GetOptions) async throws(AtlasError) -> Entry? {
        let request = try WireGetRequest(key, options, seen: core.versionToShow)
        let implied = options.minVersion == nil ? request.minVersion : 0
        let answer = try await core.call(.get(request), timeout: options.timeout, sentMinVersion: implied)
        guard case .get(let response) = answer else { throw .wrongAnswer }
        if options.atVersion == nil { core.seen.note(response.version) }
        return Entry(key, response)
    }

    @discardableResult
    public func put(_ key: Bytes, _ value: Bytes, options: PutOptions) async throws(AtlasError) -> Written {
        let request = try WirePutRequest(key, value, options, requestID: RequestID())
        guard case .put(let response) = try await core.call(.put(request), timeout: options.timeout) else {
            throw .wrongAnswer
        }
        core.seen.note(max(response.version, response.currentVersion))
        return try Written(key, response)
    }

    @discardableResult
    public func delete(_ key: Bytes, options: DeleteOptions) async throws(AtlasError) -> Deleted {
        let request = WireDeleteRequest(key, options, requestID: RequestID())
        guard case .delete(let response) = try await core.call(.delete(request), timeout: options.timeout) else {
            throw .wrongAnswer
        }
        core.seen.note(max(response.version, response.currentVersion))
        return try Deleted(key, response)
    }

    public func scan(_ range: ScanRange, options: ScanOptions) -> Scan {
        Scan { [core] in RemoteScan(core, range, options) }
    }

    @discardableResult
    public func batch(_ batch: Batch, options: BatchOptions) async throws(AtlasError) -> BatchResult {
        let request = try WireBatchRequest(batch, options, requestID: RequestID())
        guard case .batch(let response) = try await core.call(.batch(request), timeout: options.timeout) else {
            throw .wrongAnswer
        }
        core.seen.note(response.highestVersion)
        return try BatchResult(batch, response)
    }
}

extension WireBatchResponse {
    /// Of what was written and of what was read.
    fileprivate var highestVersion: Version {
        results.reduce(version) { max($0, $1.version, $1.currentVersion) }
    }
}

extension AtlasError {
    fileprivate static let wrongAnswer = AtlasError(.internal, "the server gave the answer of another kind of call")
}
