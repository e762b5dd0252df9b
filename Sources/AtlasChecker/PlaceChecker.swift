/// Checks the places in the log that answers name: a place holds one write, versions ascend with the places of a tablet,
/// and a consistent read shows all writes up to the slot that it names and none above it.
package struct PlaceChecker: Sendable {
    package init() {}

    package func check(_ history: History) -> [Violation] {
        let digest = Digest(history)
        return check(digest, Timelines(digest))
    }

    func check(_ digest: Digest, _ timelines: Timelines) -> [Violation] {
        let placed = timelines.writes.compactMap { Placed($0) }.sorted { $0.order < $1.order }
        var violations = Self.reused(placed, digest.history)
        for (earlier, later) in zip(placed, placed.dropFirst()) where earlier.place.tablet == later.place.tablet {
            if let violation = Self.compare(earlier, later, digest.history) { violations.append(violation) }
        }
        var written: [LogKey: [Placed]] = [:]
        for write in placed {
            for key in write.keys { written[LogKey(key, write.place), default: []].append(write) }
        }
        for read in digest.reads where read.consistency == .consistent {
            guard let place = read.place else { continue }
            for sighting in read.sightings {
                let writes = written[LogKey(sighting.key, place)] ?? []
                let timeline = timelines.all[timelines.index(of: sighting.key)]
                violations += Self.check(read, at: place, sighting, timeline, writes, digest.history)
            }
        }
        return violations
    }

    private static func reused(_ placed: [Placed], _ history: History) -> [Violation] {
        var first: [History.Place: Placed] = [:]
        return placed.filter { $0.place.index != nil }.compactMap { write in
            guard let other = first.updateValue(write, forKey: write.place), other.version != write.version
            else { return nil }
            let text = "two writes in \(write.place.text)"
            return Violation(.placeReused, history.message(text, [other.number, write.number]))
        }
    }

    private static func compare(_ earlier: Placed, _ later: Placed, _ history: History) -> Violation? {
        let numbers = [earlier.number, later.number]
        if earlier.place.isSameLog(as: later.place) && earlier.place.slot == later.place.slot {
            if earlier.version == later.version {
                return Violation(.placeReused, history.message("two writes in \(later.place.text)", numbers))
            }
            if let left = earlier.place.index, let right = later.place.index, left > right {
                let text = "versions do not ascend in \(later.place.text)"
                return Violation(.placeOrder, history.message(text, numbers))
            }
        } else if earlier.version >= later.version {
            let text = "version \(earlier.version) is in \(earlier.place.text), version \(later.version) after it"
            return Violation(.placeOrder, history.message(text, numbers))
        }
        return nil
    }

    /// - Parameter writes: those of the key in the same log, in its order.
    private static func check(
        _ read: Digest.Read,
        at place: History.Place,
        _ sighting: Digest.Sighting,
        _ timeline: Timeline,
        _ writes: [Placed],
        _ history: History
    ) -> [Violation] {
        let above = writes.partitionPoint { $0.place.slot > place.slot }
        let newest = above > 0 ? writes[above - 1] : nil
        let next = above < writes.count ? writes[above] : nil
        let text = "key \(Text.of(sighting.key)): the read of \(place.text) saw \(Text.of(sighting.observation))"
        let seen = timeline.earliest(from: newest?.version ?? 0, sighting.observation, by: read.response)
        guard let seen else {
            let numbers = [newest?.number, read.number].compactMap(\.self)
            return [Violation(.staleRead, history.message("\(text), but missed a write", numbers))]
        }
        guard let next, seen >= next.version else { return [] }
        return [Violation(.placeOrder, history.message("\(text), a write above it", [next.number, read.number]))]
    }
}

/// A key in one epoch of a tablet.
private struct LogKey: Hashable {
    let key: History.Key
    let tablet: UInt64
    let epoch: UInt64

    init(_ key: History.Key, _ place: History.Place) {
        self.key = key
        tablet = place.tablet
        epoch = place.epoch
    }
}

/// A write with its place.
private struct Placed {
    let place: History.Place
    let version: History.Version
    let number: Int
    let keys: [History.Key]

    init?(_ write: Digest.Write) {
        guard let place = write.place, let version = write.version else { return nil }
        self.place = place
        self.version = version
        number = write.number
        keys = write.keys.filter { write.value(of: $0) != nil }
    }

    var order: (UInt64, UInt64, UInt64, UInt64, Int) {
        (place.tablet, place.epoch, place.slot, version, number)
    }
}

extension History.Place {
    fileprivate func isSameLog(as other: Self) -> Bool {
        tablet == other.tablet && epoch == other.epoch
    }

    fileprivate var text: String {
        "tablet \(tablet) epoch \(epoch) slot \(slot)" + (index.map { " index \($0)" } ?? "")
    }
}
