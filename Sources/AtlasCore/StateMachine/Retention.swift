package import AtlasTypes

/// How long superseded versions stay readable.
package struct RetentionPolicy: Hashable, Sendable {
    /// How many versions of a key are kept whatever their age, the newest one included (`storage.num_versions`).
    package var versionsMax: Int
    /// How long a superseded version is kept in any case (`storage.history_ttl`). A retried write is recognised for
    /// as long.
    package var historyMilliseconds: UInt64

    package init(versionsMax: Int = 10, historyMilliseconds: UInt64 = 60_000) {
        precondition(versionsMax >= 1, "the newest version is always kept")
        self.versionsMax = versionsMax
        self.historyMilliseconds = historyMilliseconds
    }
}

/// Decides row by row what retention lets go of one key's history, given its rows newest first.
///
/// A row that was superseded at the watermark or later always stays. Of the others go
/// - those that have `versionsMax` newer versions (a key's newest record, or its absence, is one of these),
/// - those that had expired before the watermark,
/// - delete markers and everything older: a delete that nobody may look behind any more ends the history.
///
/// Each decision holds for good and needs only rows that were seen: a pass over a part of the rows keeps at least
/// what a pass over all of them would. Which row was the newest at a version is told by the row alone
/// (`supersededBy`), so a missing row never brings an older one back.
package struct HistorySweep: Sendable {
    private let watermark: Timestamp
    /// Rows older than such markers are gone everywhere; a younger marker stays, to be met by the rows that it hides.
    private let markersBelow: Timestamp
    private let versionsMax: Int
    private var newerCount = 1
    private var isBehindDelete = false

    package init(policy: RetentionPolicy, watermark: Timestamp, markersBelow: Timestamp) {
        self.watermark = watermark
        self.markersBelow = markersBelow
        versionsMax = policy.versionsMax
    }

    /// The next row is another key's.
    package mutating func beginKey() {
        newerCount = 1
        isBehindDelete = false
    }

    package mutating func keeps(_ row: HistoryRow) -> Bool {
        keeps(
            version: row.record.version,
            supersededBy: row.supersededBy,
            expiry: row.record.expiry,
            isDelete: row.isDelete
        )
    }

    package mutating func keeps(version: Timestamp, supersededBy: Timestamp, expiry: UInt64, isDelete: Bool) -> Bool {
        let keeps = isKept(version: version, supersededBy: supersededBy, expiry: expiry, isDelete: isDelete)
        if keeps { newerCount += 1 }
        return keeps
    }

    private mutating func isKept(version: Timestamp, supersededBy: Timestamp, expiry: UInt64, isDelete: Bool) -> Bool {
        guard supersededBy < watermark else { return true }
        guard !isBehindDelete else { return false }
        if isDelete {
            isBehindDelete = true
            return version >= markersBelow
        }
        return newerCount < versionsMax && !isExpired(expiry)
    }

    /// Whether a record that expires at `expiry` (milliseconds since 1970; 0 is never) may go, a key's newest too.
    package func isExpired(_ expiry: UInt64) -> Bool {
        expiry != 0 && expiry < watermark.milliseconds
    }
}
