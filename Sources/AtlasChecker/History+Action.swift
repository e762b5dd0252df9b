extension History {
    /// What was asked.
    package enum Action: Hashable, Sendable {
        /// Operations that take effect together or not at all; a get, put or delete alone is a batch of one.
        case batch([Step])
        case scan(Scan)

        package static func get(_ key: Key, if condition: Condition? = nil) -> Action {
            .batch([Step(.get, key, if: condition)])
        }

        package static func put(_ key: Key, _ value: Value, if condition: Condition? = nil) -> Action {
            .batch([Step(.put(value), key, if: condition)])
        }

        package static func delete(_ key: Key, if condition: Condition? = nil) -> Action {
            .batch([Step(.delete, key, if: condition)])
        }
    }

    /// One operation of a batch. It sees what those before it did.
    package struct Step: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            case get
            case put(Value)
            case delete
        }

        package var kind: Kind
        package var key: Key
        package var condition: Condition?

        package init(_ kind: Kind, _ key: Key, if condition: Condition? = nil) {
            self.kind = kind
            self.key = key
            self.condition = condition
        }

        package var isWrite: Bool { kind != .get }
    }

    package enum Condition: Hashable, Sendable {
        case absent
        case exists
        case version(Version)
        case valueEquals(Value)
    }

    /// All keys in `[start, end)`; an `end` of `nil` or without bytes is no bound. `limit` 0: none.
    package struct Scan: Hashable, Sendable {
        package var start: Key
        package var end: Key?
        package var limit: Int
        package var reverse: Bool

        package init(start: Key = [], end: Key? = nil, limit: Int = 0, reverse: Bool = false) {
            self.start = start
            self.end = end
            self.limit = limit
            self.reverse = reverse
        }

        func contains(_ key: Key) -> Bool {
            guard !key.precedes(start) else { return false }
            guard let end, !end.isEmpty else { return true }
            return key.precedes(end)
        }
    }
}

extension History {
    /// What was answered.
    package enum Outcome: Hashable, Sendable {
        /// `version`: what the writes of the batch were stamped with; `nil` if unknown, or if nothing was written.
        /// `results`: for each step what it met; empty if the answer does not say.
        case applied(version: Version?, results: [Observation] = [])
        /// Nothing changed. `current`: the key of that step before the whole batch.
        case conditionFailed(step: Int = 0, current: Observation = .unknown)
        /// `version`: the state that the scan showed, if stated.
        case scanned([Item], version: Version? = nil)
        /// It may take effect now, later or never.
        case unknown
        /// It had no effect and will have none; it counts for nothing.
        case refused

        /// The answer to a get.
        package static func found(_ value: Value, version: Version? = nil) -> Outcome {
            .applied(version: nil, results: [.found(value, version: version)])
        }

        /// The answer to a get of an absent key.
        package static var absent: Outcome { .applied(version: nil, results: [.absent]) }

        /// The answer to a write.
        package static func written(_ version: Version? = nil) -> Outcome { .applied(version: version) }
    }

    /// What an answer says of a key.
    package enum Observation: Hashable, Sendable {
        /// Nothing.
        case unknown
        case absent
        /// `nil`: the answer leaves it out.
        case found(Value?, version: Version?)
    }

    /// One item of a scan.
    package struct Item: Hashable, Sendable {
        package var key: Key
        /// `nil` in a scan of keys only.
        package var value: Value?
        package var version: Version?

        package init(_ key: Key, _ value: Value?, version: Version? = nil) {
            self.key = key
            self.value = value
            self.version = version
        }
    }
}

extension History.Condition {
    /// Whether the condition holds of a key that was observed so; `nil` if the observation does not tell.
    func holds(of observation: History.Observation) -> Bool? {
        switch (self, observation) {
        case (_, .unknown): nil
        case (.absent, .absent): true
        case (_, .absent): false
        case (.absent, .found): false
        case (.exists, .found): true
        case (.version(let wanted), .found(_, let version)): version.map { $0 == wanted }
        case (.valueEquals(let wanted), .found(let value, _)): value.map { $0 == wanted }
        }
    }
}

extension [UInt8] {
    /// Order of keys: as unsigned bytes, a prefix first.
    func precedes(_ other: [UInt8]) -> Bool {
        lexicographicallyPrecedes(other)
    }
}
