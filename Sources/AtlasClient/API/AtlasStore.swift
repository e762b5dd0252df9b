/// An ordered map of bytes to bytes, linearizable and durable: a cluster (``AtlasClient``), or a database in this process
/// (`AtlasDatabase`). Code that is written against this protocol moves between them.
///
/// ```swift
/// let written = try await db.put("key1", "value1")
/// if let entry = try await db.get("key1") { print(entry.value, entry.version) }
/// for try await entry in db.scan(prefix: "user/") { print(entry.key) }
/// try await db.batch { $0.put("a", "1"); $0.delete("b", if: .version(7)) }
/// ```
///
/// Everything fails with ``AtlasError``. A condition that does not hold is an error too
/// (``AtlasError/Code-swift.struct/conditionFailed``, which carries the version that the key has), so that it cannot be
/// overlooked; nothing has changed then, unless the error says that an earlier attempt of the same call was not answered
/// and may still take effect (``AtlasError/outcomeUnknown``).
///
/// A task that is cancelled stops waiting. Whether a write that was under way takes effect is open then, as it is after
/// a deadline (``AtlasError/outcomeUnknown``); the same write with the same ``RequestID`` settles it.
///
/// The methods without defaults are the requirements; the others, with text for bytes and shorter forms, are extensions.
public protocol AtlasStore: Sendable {
    /// Reads one key.
    /// - Returns: `nil` if the key is absent.
    func get(_ key: Bytes, options: GetOptions) async throws(AtlasError) -> Entry?

    /// Writes one key.
    @discardableResult
    func put(_ key: Bytes, _ value: Bytes, options: PutOptions) async throws(AtlasError) -> Written

    /// Removes one key. Removing an absent key succeeds.
    @discardableResult
    func delete(_ key: Bytes, options: DeleteOptions) async throws(AtlasError) -> Deleted

    /// Reads a range in key order, at one snapshot. Nothing happens before the sequence is iterated.
    func scan(_ range: ScanRange, options: ScanOptions) -> Scan

    /// Applies all operations, or none.
    @discardableResult
    func batch(_ batch: Batch, options: BatchOptions) async throws(AtlasError) -> BatchResult
}

extension AtlasStore {
    /// Reads one key.
    /// - Returns: `nil` if the key is absent.
    @inlinable
    public func get(
        _ key: some BytesConvertible,
        options: GetOptions = GetOptions()
    ) async throws(AtlasError) -> Entry? {
        try await get(key.asBytes, options: options)
    }

    /// Writes one key.
    /// - Parameters:
    ///   - condition: write only if this holds; otherwise the call throws `conditionFailed`.
    ///   - ttl: the key counts as absent so long after the write; `nil`: never.
    @inlinable
    @discardableResult
    public func put(
        _ key: some BytesConvertible,
        _ value: some BytesConvertible,
        if condition: Condition? = nil,
        ttl: Duration? = nil,
        options: PutOptions = PutOptions()
    ) async throws(AtlasError) -> Written {
        var options = options
        if let condition { options.condition = condition }
        if let ttl { options.ttl = ttl }
        return try await put(key.asBytes, value.asBytes, options: options)
    }

    /// Removes one key. Removing an absent key succeeds.
    /// - Parameter condition: delete only if this holds; otherwise the call throws `conditionFailed`.
    @inlinable
    @discardableResult
    public func delete(
        _ key: some BytesConvertible,
        if condition: Condition? = nil,
        options: DeleteOptions = DeleteOptions()
    ) async throws(AtlasError) -> Deleted {
        var options = options
        if let condition { options.condition = condition }
        return try await delete(key.asBytes, options: options)
    }

    /// Reads all keys in key order, at one snapshot.
    public func scan(options: ScanOptions = ScanOptions()) -> Scan {
        scan(.all, options: options)
    }

    /// Reads the keys that begin with `prefix` in key order, at one snapshot.
    public func scan(prefix: some BytesConvertible, options: ScanOptions = ScanOptions()) -> Scan {
        scan(ScanRange(prefix: prefix), options: options)
    }

    /// Reads the keys from `start` up to `end` (exclusive; `nil`: to the last) in key order, at one snapshot.
    public func scan(
        from start: some BytesConvertible,
        to end: (any BytesConvertible)? = nil,
        options: ScanOptions = ScanOptions()
    ) -> Scan {
        scan(ScanRange(from: start, to: end), options: options)
    }

    /// Applies all operations that `build` adds, or none.
    ///
    /// ```swift
    /// try await db.batch {
    ///     $0.put("account/1", "90", if: .version(balance1.version))
    ///     $0.put("account/2", "110", if: .version(balance2.version))
    /// }
    /// ```
    @discardableResult
    public func batch(
        options: BatchOptions = BatchOptions(),
        _ build: (inout Batch) -> Void
    ) async throws(AtlasError) -> BatchResult {
        var batch = Batch()
        build(&batch)
        return try await self.batch(batch, options: options)
    }
}
