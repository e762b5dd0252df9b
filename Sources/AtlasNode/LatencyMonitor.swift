internal import AtlasCore
internal import AtlasTypes

/// What has become of the round trips to other regions since somebody was last told.
struct LatencyMonitor: Sendable {
    struct Change: Hashable, Sendable {
        let region: RegionID
        /// Microseconds; `nil` if no node of the region is heard.
        let before: UInt64?
        let now: UInt64?
    }

    /// What was told last, in microseconds.
    private var told: [RegionID: UInt64] = [:]

    /// - Returns: by region, those that have come, gone, or changed by a quarter or more.
    mutating func changes(_ measured: [RegionDistance]) -> [Change] {
        let now = Dictionary(uniqueKeysWithValues: measured.map { ($0.region, $0.microseconds) })
        let changes = Set(told.keys).union(now.keys).sorted().compactMap { region -> Change? in
            let change = Change(region: region, before: told[region], now: now[region])
            return change.isWorthTelling ? change : nil
        }
        for change in changes { told[change.region] = change.now }
        return changes
    }
}

extension LatencyMonitor.Change {
    fileprivate var isWorthTelling: Bool {
        guard let before, let now else { return before != now }
        return max(before, now) - min(before, now) >= before / 4 + 1
    }
}
