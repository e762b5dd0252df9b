internal import AtlasTypes

/// Which parts of a snapshot are on their way to the node that fetches it.
///
/// The receiver asks for one part after the other (storage.md), so that each question tells that all parts before it have come.
/// The sender does not wait for the next question: over a distance it would send one part in a round trip. It goes ahead
/// by one part more with each part that has come, and by half as many once a part has to be asked for again.
struct SnapshotWindow {
    /// So many parts may be under way.
    private(set) var partsMax = 1
    /// Behind which key each part begins that has been sent and not asked past.
    private var underWay: [Key?] = []
    /// The part to send next begins behind this key; `nil` is the beginning.
    private(set) var next: Key?
    private(set) var isAtEnd = false

    /// Four MiB: in a round trip of 212 ms, 19 MB/s.
    static let partsLimit = 16

    /// The receiver asks for the part behind a key.
    mutating func ask(after key: Key?) {
        guard let place = underWay.firstIndex(of: key) else {
            if key == next { widen(by: underWay.count) }
            return restart(after: key)
        }
        if place > 0 {
            widen(by: place)
            underWay.removeFirst(place)
        } else {
            // It asks again: what was sent is lost, or does not get through so fast.
            partsMax = max(1, partsMax / 2)
            restart(after: key)
        }
    }

    private mutating func widen(by parts: Int) {
        partsMax = min(partsMax + parts, Self.partsLimit)
    }

    private mutating func restart(after key: Key?) {
        underWay = []
        next = key
        isAtEnd = false
    }

    /// Whether another part may be sent.
    var hasRoom: Bool {
        !isAtEnd && underWay.count < partsMax
    }

    /// Whether the next part is the one that the receiver waits for.
    var isAwaited: Bool {
        !isAtEnd && underWay.isEmpty
    }

    /// Whether nothing is to be read any more, unless the last part is lost.
    var isDone: Bool {
        isAtEnd && underWay.count <= 1
    }

    /// The next part is sent.
    /// - Parameters:
    ///   - last: its last key.
    ///   - isLast: nothing follows it.
    mutating func send(through last: Key?, isLast: Bool) {
        underWay.append(next)
        next = last
        isAtEnd = isLast
    }
}
