/// A half-open range of keys `[start, end)`. An empty `start` is before every key; `end == nil` is after every key.
public struct KeyRange: Hashable, Sendable {
    /// Inclusive.
    public var start: Key
    /// Exclusive; `nil` is the end of the key space.
    public var end: Key?

    @inlinable
    public init(start: Key, end: Key?) {
        self.start = start
        self.end = end
    }

    /// Every key.
    public static let all = KeyRange(start: Key([]), end: nil)

    /// The keys that begin with `prefix`; an empty prefix is every key.
    public init(prefix: [UInt8]) {
        start = Key(prefix)
        end = Self.end(ofPrefix: prefix)
    }

    @inlinable
    public func contains(_ key: Key) -> Bool {
        guard key >= start else { return false }
        guard let end else { return true }
        return key < end
    }

    /// What both ranges contain; empty if they do not meet.
    @inlinable
    public func intersection(_ other: KeyRange) -> KeyRange {
        let ends = [end, other.end].compactMap { $0 }
        return KeyRange(start: max(start, other.start), end: ends.min())
    }

    /// Whether every key of the other range is in this one.
    @inlinable
    public func includes(_ other: KeyRange) -> Bool {
        guard start <= other.start else { return false }
        guard let end else { return true }
        return other.end.map { $0 <= end } ?? false
    }

    /// Whether every key of this range is in one of the others.
    @inlinable
    public func isCovered(by ranges: [KeyRange]) -> Bool {
        var start = start
        for range in ranges.sorted(by: { $0.start < $1.start }) where range.start <= start {
            guard let end = range.end else { return true }
            start = max(start, end)
        }
        return end.map { $0 <= start } ?? false
    }

    @inlinable
    public func overlaps(_ other: KeyRange) -> Bool {
        !intersection(other).isEmpty
    }

    /// Whether the keys right below a bound are in the range; a bound of `nil` is the end of the key space.
    @inlinable
    public func reaches(_ bound: Key?) -> Bool {
        guard let bound else { return end == nil }
        return start < bound && (end.map { bound <= $0 } ?? true)
    }

    /// What is left of the range for a scan that has come to `key`; `nil` if nothing is.
    @inlinable
    public func rest(after key: Key, reverse: Bool) -> KeyRange? {
        let rest = reverse ? KeyRange(start: start, end: key) : KeyRange(start: key.successor, end: end)
        return rest.isEmpty ? nil : rest
    }

    @inlinable
    public var isEmpty: Bool {
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
