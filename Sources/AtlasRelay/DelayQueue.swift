internal import NIOCore

/// What is on its way in one direction of one connection, in order, each with the time at which it is due.
struct DelayQueue {
    enum Item {
        case bytes(ByteBuffer)
        /// The sender has nothing more to send (FIN).
        case end
        /// The connection broke (RST).
        case reset
    }

    /// What an item needs besides its bytes, about: single bytes must count as what they cost.
    private static let itemBytes = 192

    private var items = CircularBuffer<(due: NIODeadline, item: Item)>()
    private var lastDue = NIODeadline.uptimeNanoseconds(0)
    /// Bytes of data.
    private(set) var dataBytes = 0
    /// Bytes of memory, about.
    var memoryBytes: Int { dataBytes + items.count * Self.itemBytes }

    /// When the first item is due.
    var nextDue: NIODeadline? { items.first?.due }

    /// - Parameter due: Put off until whatever is ahead is due: nothing overtakes.
    mutating func append(_ item: Item, due: NIODeadline) {
        lastDue = max(lastDue, due)
        if case .bytes(let bytes) = item { dataBytes += bytes.readableBytes }
        items.append((lastDue, item))
    }

    /// Takes the first item if it is due.
    mutating func popDue(_ now: NIODeadline) -> Item? {
        guard let due = nextDue, due <= now else { return nil }
        let item = items.removeFirst().item
        if case .bytes(let bytes) = item { dataBytes -= bytes.readableBytes }
        return item
    }

    /// Forgets everything.
    /// - Returns: How many bytes of data that were.
    mutating func removeAll() -> Int {
        defer { dataBytes = 0 }
        items.removeAll()
        return dataBytes
    }
}
