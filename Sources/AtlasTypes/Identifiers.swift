// Keys, stamps and identifiers are `public`, unlike all else of this module: of a `package` type's conformances nothing is compiled
// into the modules that use it, and the core does little else than compare these (1.5 % of the instructions of a put).

/// A node: a process with a stable identity. Derived from the configured name, so that every node that reads the same
/// configuration knows the same identifiers.
public struct NodeID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The FNV-1a hash of a configured name. Configuration refuses two names with the same hash.
    @inlinable
    public init(name: String) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        self.init(rawValue: hash)
    }

    @inlinable
    public static func < (left: NodeID, right: NodeID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A named place whose nodes are close to each other (WPaxos: zone).
public struct RegionID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: Int32

    @inlinable
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    @inlinable
    public static func < (left: RegionID, right: RegionID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A tablet: one contiguous key range with its own ballots and log (WPaxos: object).
public struct TabletID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The tablet that a new database starts with: the whole key space.
    @inlinable
    public static var first: TabletID { TabletID(rawValue: 1) }

    @inlinable
    public static func < (left: TabletID, right: TabletID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A position in a tablet's log; the first is 1, and 0 is before all of them.
public struct Slot: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    @inlinable
    public static var zero: Slot { Slot(rawValue: 0) }
    /// Above every slot of a log: truncated through here, an epoch is over.
    @inlinable
    public static var endOfEpoch: Slot { Slot(rawValue: .max / 4) }

    @inlinable
    public var next: Slot {
        Slot(rawValue: rawValue + 1)
    }

    @inlinable
    public static func < (left: Slot, right: Slot) -> Bool {
        left.rawValue < right.rawValue
    }
}
