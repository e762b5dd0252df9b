/// A key with its value.
public struct Entry: Hashable, Sendable {
    /// The key.
    public var key: Bytes
    /// The value. Empty where only keys were asked for.
    public var value: Bytes
    /// The version of the write that made it.
    public var version: Version
    /// Where and how the answer came about, if it was asked for.
    public var receipt: Receipt?

    /// An entry without a receipt.
    public init(key: Bytes, value: Bytes, version: Version) {
        self.key = key
        self.value = value
        self.version = version
    }
}

/// A write that took effect.
public struct Written: Hashable, Sendable {
    /// The version that the key has now.
    public var version: Version
    /// What the key held before, if it was asked for and if it existed.
    public var previous: Entry?
    /// Where and how the answer came about, if it was asked for.
    public var receipt: Receipt?
}

/// A delete that took effect.
public struct Deleted: Hashable, Sendable {
    /// Whether there was something to delete.
    public var existed: Bool
    /// The version of the delete.
    public var version: Version
    /// What the key held before, if it was asked for and if it existed.
    public var previous: Entry?
    /// Where and how the answer came about, if it was asked for.
    public var receipt: Receipt?
}

/// A batch that took effect.
public struct BatchResult: Hashable, Sendable {
    /// The highest version that the batch wrote; 0 if it wrote nothing.
    public var version: Version
    /// What became of each operation, in the order of the batch.
    public var results: [OperationOutcome]
    /// Where and how the answer came about, if it was asked for.
    public var receipt: Receipt?

    /// What became of one operation.
    public enum OperationOutcome: Hashable, Sendable {
        /// What a `get` found; `nil` if the key was absent.
        case got(Entry?)
        /// A `put` took effect.
        case written(Written)
        /// A `delete` took effect.
        case deleted(Deleted)
    }

    /// What the operation at this index found, if it was a `get` of a key that existed.
    public subscript(index: Int) -> Entry? {
        if case .got(let entry) = results[index] { entry } else { nil }
    }
}

/// Where and how an answer came about.
public struct Receipt: Hashable, Sendable {
    /// How a call reached its answer.
    public enum Path: String, Hashable, Sendable {
        /// The server did not say, or said something that this client does not know.
        case unknown
        /// A write whose quorum was completed in the owner's own region.
        case fast
        /// A write whose quorum was completed elsewhere.
        case slow
        /// A call that was forwarded to the owner by the node that was asked.
        case forwarded
        /// A read from the state of the node that was asked.
        case local
    }

    /// The configured id of the node that owned the tablet.
    public var ownerNode: String
    /// The region of that node.
    public var ownerRegion: Int
    /// The owner's ballot, as text.
    public var ballot: String
    /// The tablet that holds the key.
    public var tablet: UInt64
    /// Of a write: its slot in the tablet's log. Of a read: the highest slot in the state that was read.
    public var slot: UInt64
    /// How the call reached its answer.
    public var path: Path
    /// The regions that made the quorum of a write, ascending.
    public var quorumRegions: [Int]
    /// How far the state that was read may lie behind, at most; zero for a consistent read and for a write. `nil` where the
    /// node that read it does not know.
    public var staleness: Duration?
    /// From the arrival of the request to the answer, on the node that was asked.
    public var serverTime: Duration
}
