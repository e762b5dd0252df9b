/// A half-open range of keys `[start, end)`. An empty `start` is before every key; `end == nil` is after every key.
package struct KeyRange: Hashable, Sendable {
    /// Inclusive.
    package var start: Key
    /// Exclusive; `nil` is the end of the key space.
    package var end: Key?

    package init(start: Key, end: Key?) {
        self.start = start
        self.end = end
    }

    /// Every key.
    package static let all = KeyRange(start: Key([]), end: nil)

    /// The keys that begin with `prefix`; an empty prefix is every key.
    package init(prefix: [UInt8]) {
        start = Key(prefix)
        end = Self.end(ofPrefix: prefix)
    }

    package func contains(_ key: Key) -> Bool {
        guard key >= start else { return false }
        guard let end else { return true }
        return key < end
    }

    /// What both ranges contain; empty if they do not meet.
    package func intersection(_ other: KeyRange) -> KeyRange {
        let ends = [end, other.end].compactMap { $0 }
        return KeyRange(start: max(start, other.start), end: ends.min())
    }

    package var isEmpty: Bool {
        guard let end else { return false }
        return end <= start
    }

    /// The smallest key above everything that begins with `prefix`: drop trailing 0xFF, then add one.
    private static func end(ofPrefix prefix: [UInt8]) -> Key? {
        guard let last = prefix.lastIndex(where: { $0 != 0xFF }) else { return nil }
        var bytes = Array(prefix[...last])
        bytes[last] += 1
        return Key(bytes)
    }
}
