internal import AtlasCore
internal import AtlasWire
internal import AtlasTypes
internal import AtlasConfiguration

/// Checks requests and turns them into what the core understands. What is refused here has changed nothing.
package struct RequestTranslation: Sendable {
    let limits: RequestLimits
    /// For writes that do not say.
    let writeStrategy: WriteStrategy
    /// For reads that do not say.
    let readStrategy: ReadStrategy
    /// The longest time to live, in milliseconds: a thousand years.
    package static let ttlMax: UInt64 = 1_000 * 366 * 86_400_000
    /// The longest staleness that can be told from a longer one, in milliseconds: 64 bits of nanoseconds, 584 years.
    static let stalenessMax = UInt64.max / ConsensusSettings.millisecond

    init(config: AtlasConfiguration) {
        limits = config.cluster.limits
        writeStrategy = config.node.regions.writeStrategy
        readStrategy = config.node.regions.readStrategy
    }

    /// A read of one key or a range.
    struct Read: Sendable {
        /// `nil` is the newest state.
        var version: Timestamp?
        var minVersion = Timestamp.zero
        var consistency = Consistency.consistent
        /// Nanoseconds.
        var stalenessMax: UInt64?
    }

    // MARK: Keys and values

    func key(_ bytes: [UInt8]) throws(ServiceError) -> Key {
        if bytes.isEmpty { throw .invalid("the key is empty", code: .keyEmpty) }
        return Key(try boundary(bytes))
    }

    /// A bound of a range, which may be empty. Where a scan resumes after the longest key, it is that key and a zero byte.
    private func rangeBound(_ bytes: [UInt8]) throws(ServiceError) -> [UInt8] {
        let isSuccessor = bytes.count == limits.maxKeySize + 1 && bytes.last == 0
        return isSuccessor ? bytes : try boundary(bytes)
    }

    /// A key, or a part of one.
    private func boundary(_ bytes: [UInt8]) throws(ServiceError) -> [UInt8] {
        guard bytes.count <= limits.maxKeySize else {
            throw .limit(
                .keyTooLarge,
                "the key is too large, in bytes",
                name: "limits.max_key_size",
                actual: bytes.count,
                allowed: limits.maxKeySize
            )
        }
        return bytes
    }

    private func value(_ bytes: [UInt8]) throws(ServiceError) -> [UInt8] {
        guard bytes.count <= limits.maxValueSize else {
            throw .limit(
                .valueTooLarge,
                "the value is too large, in bytes",
                name: "limits.max_value_size",
                actual: bytes.count,
                allowed: limits.maxValueSize
            )
        }
        return bytes
    }

    private func ttl(_ milliseconds: UInt64) throws(ServiceError) -> UInt64 {
        guard milliseconds <= Self.ttlMax else { throw .invalid("ttl_ms is beyond a thousand years") }
        return milliseconds
    }

    // MARK: Conditions and options

    private func condition(
        expectedVersion: Int64,
        _ condition: WireCondition?
    ) throws(ServiceError) -> Condition? {
        if expectedVersion < 0 { throw .invalid("expected_version is negative") }
        guard let condition else {
            return expectedVersion == 0 ? nil : .version(Timestamp(rawValue: UInt64(expectedVersion)))
        }
        if expectedVersion > 0 { throw .invalid("expected_version and condition exclude each other") }
        switch condition {
        case .unknown: throw .invalid("the condition has none of the kinds that this server knows", code: .unknownValue)
        case .absent(let absent): return absent ? .absent : .exists
        case .exists(let exists): return exists ? .exists : .absent
        case .version(0): return .absent
        case .version(let version):
            if version < 0 { throw .invalid("condition.version is negative") }
            return .version(Timestamp(rawValue: UInt64(version)))
        case .valueEquals(let bytes): return .valueEquals(try value(bytes))
        }
    }

    private func requestID(_ id: WireRequestID) throws(ServiceError) -> RequestID {
        switch id {
        case .none: return .none
        case .id(let id):
            if !id.isWellFormed { throw .invalid("the request id is not a UUIDv7", code: .requestIDMalformed) }
            return id
        case .malformed(let length):
            throw .invalid("the request id has \(length) bytes, not the 16 of a UUIDv7", code: .requestIDMalformed)
        }
    }

    private func level(_ level: Atlas_WriteLevel) throws(ServiceError) -> WriteLevel {
        switch level {
        case .unspecified: writeStrategy == .global ? .global : .local
        case .local: .local
        case .global: .global
        case .UNRECOGNIZED(let value): throw .unknownValue("write_level", value)
        }
    }

    private func read(
        _ consistency: Atlas_Consistency,
        isConsistent: Bool,
        maxStaleness: UInt64,
        minVersion: Int64,
        atVersion: Int64
    ) throws(ServiceError) -> Read {
        if minVersion < 0 { throw .invalid("min_version is negative") }
        if atVersion < 0 { throw .invalid("at_version is negative") }
        let asked = try self.consistency(consistency)
        return Read(
            version: atVersion == 0 ? nil : Timestamp(rawValue: UInt64(atVersion)),
            minVersion: Timestamp(rawValue: UInt64(minVersion)),
            consistency: isConsistent ? .consistent : asked,
            stalenessMax: maxStaleness == 0
                ? nil : min(maxStaleness, Self.stalenessMax) * ConsensusSettings.millisecond
        )
    }

    private func consistency(_ consistency: Atlas_Consistency) throws(ServiceError) -> Consistency {
        switch consistency {
        case .unspecified:
            switch readStrategy {
            case .local: .local
            case .nearest: .nearest
            case .consistent: .consistent
            }
        case .local: .local
        case .nearest: .nearest
        case .consistent: .consistent
        case .UNRECOGNIZED(let value): throw .unknownValue("consistency", value)
        }
    }

    // MARK: Requests

    func get(_ request: WireGetRequest) throws(ServiceError) -> (Key, Read) {
        let key = try key(request.key)
        return (
            key,
            try read(
                request.consistency,
                isConsistent: request.consistentRead,
                maxStaleness: request.maxStaleness,
                minVersion: request.minVersion,
                atVersion: request.atVersion
            )
        )
    }

    func put(_ request: WirePutRequest, _ arrival: Arrival) throws(ServiceError) -> WriteRequest {
        let level = try level(request.writeLevel)
        let operation = Operation(
            .put(value: try value(request.value), ttl: try ttl(request.ttl)),
            key: try key(request.key),
            condition: try condition(expectedVersion: request.expectedVersion, request.condition),
            returnsPrevious: request.returnPrevious
        )
        let command = Command(requestID: try requestID(request.requestID), operations: [operation])
        return WriteRequest(command: command, deadline: arrival.deadline, level: level)
    }

    func delete(_ request: WireDeleteRequest, _ arrival: Arrival) throws(ServiceError) -> WriteRequest {
        let level = try level(request.writeLevel)
        let operation = Operation(
            .delete,
            key: try key(request.key),
            condition: try condition(expectedVersion: request.expectedVersion, request.condition),
            returnsPrevious: request.returnPrevious
        )
        let command = Command(requestID: try requestID(request.requestID), operations: [operation])
        return WriteRequest(command: command, deadline: arrival.deadline, level: level)
    }

    func batch(_ request: WireBatchRequest, _ arrival: Arrival) throws(ServiceError) -> WriteRequest {
        let level = try level(request.writeLevel)
        guard request.operations.count <= limits.maxBatchOperations else {
            throw .limit(
                .batchTooLarge,
                "the batch has too many operations",
                name: "limits.max_batch_operations",
                actual: request.operations.count,
                allowed: limits.maxBatchOperations
            )
        }
        var operations: [Operation] = []
        operations.reserveCapacity(request.operations.count)
        var size = 0
        for (index, operation) in request.operations.enumerated() {
            size += operation.key.count + operation.value.count
            if case .valueEquals(let bytes) = operation.condition { size += bytes.count }
            do throws(ServiceError) {
                operations.append(try self.operation(operation))
            } catch {
                throw ServiceError(error.status, error.detail.code, "operation \(index): \(error.detail.message)") {
                    $0 = error.detail
                    $0.message = "operation \(index): \(error.detail.message)"
                }
            }
        }
        guard size <= limits.maxBatchSize else {
            throw .limit(
                .batchTooLarge,
                "the batch's keys and values are too large, in bytes",
                name: "limits.max_batch_size",
                actual: size,
                allowed: limits.maxBatchSize
            )
        }
        let command = Command(requestID: try requestID(request.requestID), operations: operations)
        return WriteRequest(command: command, deadline: arrival.deadline, level: level)
    }

    private func operation(_ operation: WireOperation) throws(ServiceError) -> Operation {
        let kind: Operation.Kind
        switch operation.type {
        case .get: kind = .get
        case .put: kind = .put(value: try value(operation.value), ttl: try ttl(operation.ttl))
        case .delete: kind = .delete
        case .UNRECOGNIZED(let value): throw .unknownValue("type", value)
        }
        return Operation(
            kind,
            key: try key(operation.key),
            condition: try condition(expectedVersion: operation.expectedVersion, operation.condition),
            returnsPrevious: operation.returnPrevious
        )
    }

    func scan(_ request: WireScanRequest) throws(ServiceError) -> (KeyRange, Read) {
        if request.limit < 0 { throw .invalid("limit is negative: \(request.limit)", code: .limitNegative) }
        let start = Key(try rangeBound(request.startKey))
        let end = request.endKey.isEmpty ? nil : Key(try rangeBound(request.endKey))
        var range = KeyRange(start: start, end: end)
        if range.isEmpty { throw .invalid("end_key is not above start_key", code: .rangeEmpty) }
        if !request.prefix.isEmpty {
            let prefixed = KeyRange(prefix: try boundary(request.prefix))
            range = range.intersection(prefixed)
        }
        return (
            range,
            try read(
                request.consistency,
                isConsistent: false,
                maxStaleness: request.maxStaleness,
                minVersion: request.minVersion,
                atVersion: request.atVersion
            )
        )
    }
}
