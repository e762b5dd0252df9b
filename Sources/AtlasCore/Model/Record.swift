package import AtlasTypes

/// What is stored of a key: its newest value, or one that it had before.
package struct Record: Hashable, Sendable {
    /// The stamp of the command that wrote it.
    package var version: Timestamp
    /// Milliseconds since 1970 from which on the record counts as absent; 0 is never.
    package var expiry: UInt64
    /// The write that made it, or `RequestID.none`.
    package var requestID: RequestID
    package var value: [UInt8]

    package init(version: Timestamp, expiry: UInt64 = 0, requestID: RequestID = .none, value: [UInt8]) {
        self.version = version
        self.expiry = expiry
        self.requestID = requestID
        self.value = value
    }

    /// When a value that is written at a time has expired; all in milliseconds.
    /// - Parameter ttl: 0 is never.
    static func expiry(after ttl: UInt64, from now: UInt64) -> UInt64 {
        let (sum, overflow) = now.addingReportingOverflow(ttl)
        return ttl == 0 ? 0 : overflow ? .max : sum
    }

    /// Whether the record counts as absent at a time (milliseconds since 1970).
    package func isExpired(at milliseconds: UInt64) -> Bool {
        expiry != 0 && expiry <= milliseconds
    }
}

/// A version of a key that is no longer the newest, or the trace of a delete.
package struct HistoryRow: Hashable, Sendable {
    /// The superseded record; of a delete, its version and request id with an empty value.
    package var record: Record
    /// The version from which on `record` was no longer the newest. Of a delete marker, its own version.
    package var supersededBy: Timestamp
    package var isDelete: Bool

    package init(record: Record, supersededBy: Timestamp, isDelete: Bool) {
        self.record = record
        self.supersededBy = supersededBy
        self.isDelete = isDelete
    }
}

/// How far a tablet's state in the store has come. It is written in the batch that changes the data, so that data and
/// position are never apart.
package struct TabletState: Hashable, Sendable {
    package var tablet: TabletID
    package var epoch: UInt64
    /// The highest slot that has been applied.
    package var appliedSlot: Slot
    /// The highest stamp that has been applied.
    package var appliedTimestamp: Timestamp
    package var closedTimestamp: Timestamp
    /// A chain over everything that was applied; equal on all replicas at the same slot.
    package var stateHash: UInt64

    package init(tablet: TabletID, epoch: UInt64) {
        self.tablet = tablet
        self.epoch = epoch
        appliedSlot = .zero
        appliedTimestamp = .zero
        closedTimestamp = .zero
        stateHash = 0
    }

    /// The state with which a tablet begins after a seal: that of the sealed one, at slot zero of a new log.
    package init(following sealed: TabletState, as config: TabletConfig, sealedAt stamp: Timestamp) {
        tablet = config.tablet
        epoch = config.epoch
        appliedSlot = .zero
        appliedTimestamp = max(sealed.appliedTimestamp, stamp)
        closedTimestamp = .zero
        var hash = StateHash(seed: sealed.stateHash)
        hash.mix(config.tablet.rawValue)
        hash.mix(config.epoch)
        stateHash = hash.value
    }
}

extension HistoryRow {
    /// Whether its record was the newest at a version that is not below its own.
    package func wasNewest(at version: Timestamp) -> Bool {
        !isDelete && supersededBy > version
    }
}
