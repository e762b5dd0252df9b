/// A node: a process with a stable identity. Derived from the configured name, so that every node that reads the same
/// configuration knows the same identifiers.
package struct NodeID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    @inlinable
    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The FNV-1a hash of a configured name. Configuration refuses two names with the same hash.
    package init(name: String) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        self.init(rawValue: hash)
    }

    @inlinable
    package static func < (left: NodeID, right: NodeID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A named place whose nodes are close to each other (WPaxos: zone).
package struct RegionID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: Int32

    package init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    package static func < (left: RegionID, right: RegionID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A tablet: one contiguous key range with its own ballots and log (WPaxos: object).
package struct TabletID: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    @inlinable
    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The tablet that a new database starts with: the whole key space.
    package static let first = TabletID(rawValue: 1)

    @inlinable
    package static func < (left: TabletID, right: TabletID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A position in a tablet's log; the first is 1, and 0 is before all of them.
package struct Slot: RawRepresentable, Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    @inlinable
    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static let zero = Slot(rawValue: 0)
    /// Above every slot of a log: truncated through here, an epoch is over.
    package static let endOfEpoch = Slot(rawValue: .max / 4)

    @inlinable
    package var next: Slot {
        Slot(rawValue: rawValue + 1)
    }

    @inlinable
    package static func < (left: Slot, right: Slot) -> Bool {
        left.rawValue < right.rawValue
    }
}
