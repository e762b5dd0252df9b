package import AtlasCore
package import AtlasRocksDB
package import AtlasTypes

/// The time at which a read tells what has expired. No clock of this machine says so: a later owner's may be behind it, and
/// show again what was gone. It is the core's word or the stamp of the state that is read, whichever is later.
package struct ReadTime: Sendable {
    package let timestamp: Timestamp
    /// Something that was read has expired by the wall clock, and not by this time: the core may know of a later one.
    package private(set) var isInDoubt = false

    package init(_ timestamp: Timestamp) {
        self.timestamp = timestamp
    }

    package var milliseconds: UInt64 {
        timestamp.milliseconds
    }

    package mutating func note(_ record: Record?) {
        guard let expiry = record?.expiry, expiry > milliseconds else { return }
        if expiry <= SystemClock.wall() { isInDoubt = true }
    }
}

extension RocksDBSnapshot {
    /// - Parameters:
    ///   - time: what the core has said, before the snapshot was taken.
    ///   - version: which is read, if it is not the newest; it is its own time.
    package func readTime(
        of tablet: TabletID,
        from time: Timestamp,
        at version: Timestamp? = nil
    ) throws(StoreError) -> ReadTime {
        if let version { return ReadTime(version) }
        let applied = try tabletState(of: tablet)?.appliedTimestamp
        return ReadTime(max(time, applied ?? .zero))
    }
}

extension RocksDBStore {
    /// The newest record of a key, unless it has expired.
    /// - Parameter time: what the core has said.
    package func liveRecord(
        of key: Key,
        in tablet: TabletID,
        from time: Timestamp,
        tier: ReadTier
    ) throws(StoreError) -> (record: Record?, isInDoubt: Bool) {
        let found = try record(of: key, tier: tier)
        guard let found, found.expiry > 0 else { return (found, false) }
        // First the time, then the record: one that is written in between is not expired by a time before it.
        var time = ReadTime(max(time, try tabletState(of: tablet)?.appliedTimestamp ?? .zero))
        guard let record = try record(of: key, tier: tier), !record.isExpired(at: time.milliseconds) else {
            return (nil, false)
        }
        time.note(record)
        return (record, time.isInDoubt)
    }
}
