/// Which of the numbers that ascend at their sender have arrived: each counts once, and one that comes later than
/// `span` after its successors does not count.
struct SequenceWindow: Hashable, Sendable {
    private var highest: UInt64 = 0
    private var words = [UInt64](repeating: 0, count: Self.span / 64)

    static let span = 1_024

    /// - Returns: whether the number is new.
    mutating func insert(_ number: UInt64) -> Bool {
        guard number > 0 else { return false }
        if number > highest {
            // However far a peer jumps ahead, only the places of the window are cleared.
            let passed = max(highest, number - min(number, UInt64(Self.span)))
            for skipped in (passed + 1)...number { set(skipped, false) }
            highest = number
        } else if highest - number >= UInt64(Self.span) {
            return false
        }
        guard !isSet(number) else { return false }
        set(number, true)
        return true
    }

    private func isSet(_ number: UInt64) -> Bool {
        let place = Int(number % UInt64(Self.span))
        return words[place / 64] & (1 << UInt64(place % 64)) != 0
    }

    private mutating func set(_ number: UInt64, _ value: Bool) {
        let place = Int(number % UInt64(Self.span))
        let bit: UInt64 = 1 << UInt64(place % 64)
        if value { words[place / 64] |= bit } else { words[place / 64] &= ~bit }
    }
}
