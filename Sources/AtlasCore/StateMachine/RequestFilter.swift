package import AtlasTypes

/// Tells cheaply that a request id was certainly not applied within the retry window, so that the common write does not
/// look into the history of its key. Two Bloom filters take turns: what was added stays known for at least one window.
///
/// It is a hint about the store, never a fact of its own: without it every answer is the same, only slower.
package struct RequestFilter: Sendable {
    private var current: [UInt64]
    private var previous: [UInt64]
    private let indexMask: UInt64
    private let window: UInt64
    /// When the filters last took turns, in milliseconds of stamps; `nil` before anything was seen.
    private var rotated: UInt64?
    /// Up to this time (milliseconds of stamps) every id may have been applied: by the process before this one.
    private var blindUntil: UInt64

    /// - Parameters:
    ///   - bits: of each of the two filters, a power of two of at least 64.
    ///   - windowMilliseconds: how long an id must be recognised.
    ///   - blindUntil: the filter knows nothing about what was applied before it was made; a window after that
    ///     (milliseconds of stamps) there is nothing left that it would need to know. 0 for an empty store.
    package init(bits: Int = 1 << 24, windowMilliseconds: UInt64, blindUntil: UInt64) {
        precondition(bits >= 64 && bits.nonzeroBitCount == 1, "a power of two")
        current = Array(repeating: 0, count: bits / 64)
        previous = current
        indexMask = UInt64(bits - 1)
        window = windowMilliseconds
        self.blindUntil = blindUntil
    }

    /// Whether the id may have been applied within the window that ends at `now` (milliseconds of stamps).
    package func mayContain(_ id: RequestID, now: UInt64) -> Bool {
        if now <= blindUntil { return true }
        return Self.isSet(id, in: current, mask: indexMask) || Self.isSet(id, in: previous, mask: indexMask)
    }

    package mutating func insert(_ id: RequestID, now: UInt64) {
        if let rotated, now >= rotated + 2 * window {
            // Nothing came for long, or stamps have leapt. What was added just before a leap must stay known.
            self.rotated = now
        } else if let rotated, now >= rotated + window {
            swap(&current, &previous)
            for index in current.indices { current[index] = 0 }
            self.rotated = now
        } else if rotated == nil {
            rotated = now
        }
        for bit in Self.bits(of: id, mask: indexMask) {
            current[Int(bit >> 6)] |= 1 << (bit & 63)
        }
    }

    private static func isSet(_ id: RequestID, in words: [UInt64], mask: UInt64) -> Bool {
        for bit in bits(of: id, mask: mask) where words[Int(bit >> 6)] & (1 << (bit & 63)) == 0 {
            return false
        }
        return true
    }

    /// Three positions of one 128-bit id. A client may choose its ids, so they are mixed first.
    private static func bits(of id: RequestID, mask: UInt64) -> CollectionOfThree {
        var hash = StateHash(seed: id.high)
        hash.mix(id.low)
        let first = hash.value
        let step = (first >> 32) | 1
        return CollectionOfThree(first & mask, (first &+ step) & mask, (first &+ step &* 2) & mask)
    }

    /// Three numbers without an array.
    private struct CollectionOfThree: Sequence, IteratorProtocol {
        private var values: (UInt64, UInt64, UInt64)
        private var next3 = 0

        init(_ a: UInt64, _ b: UInt64, _ c: UInt64) {
            values = (a, b, c)
        }

        mutating func next() -> UInt64? {
            defer { next3 += 1 }
            switch next3 {
            case 0: return values.0
            case 1: return values.1
            case 2: return values.2
            default: return nil
            }
        }
    }
}
