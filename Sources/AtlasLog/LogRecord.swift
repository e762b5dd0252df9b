package import AtlasCore

/// What the log makes of a record's kind: of every kind but `entries`, only the latest record of a tablet's epoch lives, so each
/// one carries the whole state of its kind. Of entries, the latest record that covers a slot wins. The `lastSlot` of a
/// `truncation` says through which slot recovery leaves entries out of the index; zero for none.
package typealias LogRecordKind = LogRecord.Kind

/// Where a record is: its segment, and its offset there in bytes.
package struct LogPosition: Hashable, Comparable, Sendable {
    package var segment: UInt64
    package var offset: Int

    package init(segment: UInt64, offset: Int) {
        self.segment = segment
        self.offset = offset
    }

    package static func < (left: LogPosition, right: LogPosition) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}

/// What `append` says about its token.
package enum Durability: Hashable, Sendable {
    /// Written (not synced) before `append` returned; `onDurable` is not called for this token. Only with
    /// `syncWrites: false`: it survives the end of the process, not of the machine.
    case now
    /// `onDurable` reports the token, or a higher one of its shard.
    case later
}
