package import AtlasTypes

/// Gathers the items of one page of a scan up to its limits.
package struct ScanPageBuilder {
    private let range: KeyRange
    private let reverse: Bool
    private let keysOnly: Bool
    private let limit: Int
    private let bytesMax: Int
    private var bytes = 0
    private var items: [ScanPage.Item] = []

    package init(range: KeyRange, reverse: Bool, keysOnly: Bool, limit: Int, bytesMax: Int) {
        precondition(limit > 0, "a page holds at least one item")
        self.range = range
        self.reverse = reverse
        self.keysOnly = keysOnly
        self.limit = limit
        self.bytesMax = bytesMax
    }

    package var isEmpty: Bool {
        items.isEmpty
    }

    package var isFull: Bool {
        items.count >= limit || bytes > bytesMax
    }

    package mutating func append(key: Key, version: Timestamp, value: @autoclosure () -> [UInt8]) {
        let value = keysOnly ? [] : value()
        bytes += key.bytes.count + value.count
        items.append(ScanPage.Item(key: key, value: value, version: version))
    }

    /// The page of a scan that has reached the end of its range, or of one that stopped early.
    package consuming func finish(stopped: Bool = false) -> ScanPage {
        guard stopped || isFull, let last = items.last else { return ScanPage(items: items, rest: nil) }
        return ScanPage(items: items, rest: range.rest(after: last.key, reverse: reverse))
    }
}
