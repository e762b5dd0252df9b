/// Operations that take effect together, or not at all. Each sees the state before the batch and the operations before
/// it.
public struct Batch: Hashable, Sendable {
    /// One of them.
    package enum Operation: Hashable, Sendable {
        case get(Bytes, Condition?)
        case put(Bytes, Bytes, Condition?, ttl: Duration?, returnsPrevious: Bool)
        case delete(Bytes, Condition?, returnsPrevious: Bool)
    }

    package private(set) var operations: [Operation] = []

    /// Without operations.
    public init() {}

    /// How many operations there are.
    public var count: Int { operations.count }

    /// Whether there are no operations.
    public var isEmpty: Bool { operations.isEmpty }

    /// Reads a key. With a condition it guards the batch.
    public mutating func get(_ key: some BytesConvertible, if condition: Condition? = nil) {
        operations.append(.get(key.asBytes, condition))
    }

    /// Writes a key.
    /// - Parameters:
    ///   - condition: the batch takes effect only if this holds.
    ///   - ttl: the key counts as absent so long after the write; `nil`: never.
    ///   - returnsPrevious: whether the result carries what the key held before.
    public mutating func put(
        _ key: some BytesConvertible,
        _ value: some BytesConvertible,
        if condition: Condition? = nil,
        ttl: Duration? = nil,
        returnsPrevious: Bool = false
    ) {
        operations.append(
            .put(key.asBytes, value.asBytes, condition, ttl: ttl, returnsPrevious: returnsPrevious)
        )
    }

    /// Removes a key.
    /// - Parameters:
    ///   - condition: the batch takes effect only if this holds.
    ///   - returnsPrevious: whether the result carries what the key held before.
    public mutating func delete(
        _ key: some BytesConvertible,
        if condition: Condition? = nil,
        returnsPrevious: Bool = false
    ) {
        operations.append(.delete(key.asBytes, condition, returnsPrevious: returnsPrevious))
    }
}
