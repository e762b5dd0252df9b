/// The stamp of the write that made a value: larger for later writes. 0 is the version of an absent key.
public typealias Version = Int64

/// What must be true of a key for a write to take effect.
public enum Condition: Hashable, Sendable {
    /// The key is absent.
    case absent
    /// The key exists.
    case exists
    /// The key has this version; 0 is that of an absent key.
    case version(Version)
    /// The key exists and has this value, byte for byte.
    case valueEquals(Bytes)
}

/// How fresh a read must be.
public enum Consistency: Hashable, Sendable, CaseIterable {
    /// From a replica in the region of the node that is asked, whatever it has applied.
    case local
    /// From the replica with the lowest measured latency, whatever it has applied.
    case nearest
    /// Linearizable: it sees every write that was acknowledged before it began.
    case consistent
}

/// What must hold before a write is acknowledged.
public enum WriteLevel: Hashable, Sendable, CaseIterable {
    /// Durable on a quorum in the owner's region (and where else the tablet requires it).
    case local
    /// Besides, durable on a majority of the nodes in a majority of the regions: it outlives the loss of any one region. In a
    /// cluster that survives such a loss, the next owner serves it, and weak reads may be behind until then; in another one,
    /// ``Consistency/local`` and ``Consistency/nearest`` reads in the regions that are left show it.
    case global
}

/// How a key is read.
public struct GetOptions: Hashable, Sendable {
    /// `nil`: what the server is configured for (`region.read_strategy`).
    public var consistency: Consistency?
    /// The oldest state that is good enough; `nil`: any. Of account for `local` and `nearest`.
    public var maxStaleness: Duration?
    /// The answer shows at least the state at this version. `nil`: at least what the client has seen before, unless
    /// that is switched off.
    public var minVersion: Version?
    /// The state at this version (inclusive); `nil`: the newest.
    public var atVersion: Version?
    /// Whether ``Entry/receipt`` is wanted.
    public var wantsReceipt = false
    /// How long the call may take with all its retries; `nil`: as configured.
    public var timeout: Duration?

    /// The newest state, as fresh as the server is configured for.
    public init() {}

    /// A linearizable read.
    public static var consistent: GetOptions {
        var options = GetOptions()
        options.consistency = .consistent
        return options
    }

    /// The state at a version (inclusive).
    public static func at(_ version: Version) -> GetOptions {
        var options = GetOptions()
        options.atVersion = version
        return options
    }
}

/// How a key is written.
public struct PutOptions: Hashable, Sendable {
    /// Write only if this holds; otherwise the call throws `conditionFailed`.
    public var condition: Condition?
    /// The key counts as absent so long after the write; `nil`: never.
    public var ttl: Duration?
    /// `nil`: what the server is configured for (`region.write_strategy`).
    public var writeLevel: WriteLevel?
    /// Names the write, so that a retry takes effect once; `nil`: the client chooses one, for its own retries.
    public var requestID: RequestID?
    /// Whether ``Written/previous`` is wanted.
    public var returnsPrevious = false
    /// Whether ``Written/receipt`` is wanted.
    public var wantsReceipt = false
    /// How long the call may take with all its retries; `nil`: as configured.
    public var timeout: Duration?

    /// Without a condition, for good.
    public init() {}
}

/// How a key is removed.
public struct DeleteOptions: Hashable, Sendable {
    /// Delete only if this holds; otherwise the call throws `conditionFailed`.
    public var condition: Condition?
    /// `nil`: what the server is configured for (`region.write_strategy`).
    public var writeLevel: WriteLevel?
    /// Names the delete, so that a retry takes effect once; `nil`: the client chooses one, for its own retries.
    public var requestID: RequestID?
    /// Whether ``Deleted/previous`` is wanted.
    public var returnsPrevious = false
    /// Whether ``Deleted/receipt`` is wanted.
    public var wantsReceipt = false
    /// How long the call may take with all its retries; `nil`: as configured.
    public var timeout: Duration?

    /// Without a condition.
    public init() {}
}

/// How a batch is applied.
public struct BatchOptions: Hashable, Sendable {
    /// `nil`: what the server is configured for (`region.write_strategy`).
    public var writeLevel: WriteLevel?
    /// Names the batch, so that a retry takes effect once; `nil`: the client chooses one, for its own retries.
    public var requestID: RequestID?
    /// Whether ``BatchResult/receipt`` is wanted.
    public var wantsReceipt = false
    /// How long the call may take with all its retries; `nil`: as configured.
    public var timeout: Duration?

    /// The defaults.
    public init() {}
}

/// How a range is read.
public struct ScanOptions: Hashable, Sendable {
    /// At most so many entries; `nil`: all.
    public var limit: Int?
    /// From the last key to the first.
    public var reverse = false
    /// Leaves the values out.
    public var keysOnly = false
    /// `nil`: what the server is configured for (`region.read_strategy`).
    public var consistency: Consistency?
    /// As in ``GetOptions/maxStaleness``.
    public var maxStaleness: Duration?
    /// As in ``GetOptions/minVersion``.
    public var minVersion: Version?
    /// The state at this version (inclusive); `nil`: the newest.
    public var atVersion: Version?
    /// Whether the first page's ``Scan/Page/receipt`` is wanted.
    public var wantsReceipt = false
    /// The most entries in one page, from 1. A page has fewer if they are large.
    public var pageEntriesMax = 1_024
    /// How long one page may take with all retries; `nil`: as configured. A scan as a whole has no deadline.
    public var timeout: Duration?

    /// Everything, in key order, at the newest state.
    public init() {}

    /// At most so many entries.
    public static func limit(_ count: Int) -> ScanOptions {
        var options = ScanOptions()
        options.limit = count
        return options
    }

    /// From the last key to the first.
    public static var reverse: ScanOptions {
        var options = ScanOptions()
        options.reverse = true
        return options
    }
}
