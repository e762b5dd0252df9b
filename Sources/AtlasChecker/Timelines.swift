/// The timelines of all keys. The version of a write without an answer is learned from those who saw its value.
struct Timelines {
    /// Those of the digest, with the versions that were learned.
    private(set) var writes: [Digest.Write]
    /// One for each key of the digest, in its order.
    private(set) var all: [Timeline]
    private(set) var violations: [Violation] = []

    private let digest: Digest
    private let indexOfKey: [History.Key: Int]
    /// Sightings of versions without a record, by key.
    private var unexplained: [[Seen]]

    private struct Seen {
        var version: History.Version
        var value: History.Value?
        /// It was there by then.
        var time: UInt64
        var number: Int
    }

    init(_ digest: Digest) {
        self.digest = digest
        writes = digest.writes
        all = digest.keys.map { Timeline(key: $0) }
        indexOfKey = Dictionary(uniqueKeysWithValues: digest.keys.enumerated().map { ($1, $0) })
        unexplained = Array(repeating: [], count: digest.keys.count)
        placeWrites()
        compareSightings()
        let learned = all.indices.flatMap { learn($0) }
        adopt(learned)
    }

    func index(of key: History.Key) -> Int {
        guard let index = indexOfKey[key] else { preconditionFailure("the digest lists all keys") }
        return index
    }

    private mutating func report(_ kind: Violation.Kind, _ text: String, _ key: Int, _ numbers: [Int]) {
        let message = digest.history.message("key \(Text.of(all[key].key)): \(text)", numbers)
        violations.append(Violation(kind, message))
    }
}

// MARK: - What is known

extension Timelines {
    private mutating func placeWrites() {
        for (index, write) in writes.enumerated() {
            for key in write.keys {
                guard let value = write.value(of: key) else { continue }
                let content = Timeline.Content(value)
                if let version = write.version {
                    let record = Timeline.Record(version: version, content: content, call: write.call, write: index)
                    all[self.index(of: key)].records.append(record)
                } else {
                    let unplaced = Timeline.Unplaced(content: content, call: write.call, write: index)
                    all[self.index(of: key)].unplaced.append(unplaced)
                }
            }
        }
        for key in all.indices {
            all[key].unplaced.sort { ($0.call, $0.write) < ($1.call, $1.write) }
            let records = all[key].records.sorted { ($0.version, $0.write ?? 0) < ($1.version, $1.write ?? 0) }
            all[key].records = []
            for record in records {
                if let last = all[key].records.last, last.version == record.version {
                    let numbers = [last.write, record.write].compactMap { $0.map { writes[$0].number } }
                    report(.versionReused, "two writes have version \(record.version)", key, numbers)
                } else {
                    all[key].records.append(record)
                }
            }
        }
    }

    private mutating func compareSightings() {
        for read in digest.reads {
            for sighting in read.sightings {
                compare(sighting.observation, of: index(of: sighting.key), by: read.response, read.number)
            }
        }
        for write in digest.writes where write.isAcknowledged {
            // What a batch shows of its own writes is not there for others to see.
            var own: Set<History.Key> = []
            let time = write.response ?? .max
            for (step, result) in zip(write.steps, write.results) {
                if !own.contains(step.key) {
                    compare(result, of: index(of: step.key), by: time, write.number)
                    // The condition held, so its version was there.
                    if case .version(let version) = step.condition, result == .unknown {
                        compare(.found(nil, version: version), of: index(of: step.key), by: time, write.number)
                    }
                }
                if step.isWrite { own.insert(step.key) }
            }
        }
    }

    private mutating func compare(_ observation: History.Observation, of key: Int, by time: UInt64, _ number: Int) {
        guard case .found(let value, let version?) = observation else { return }
        guard let index = all[key].index(of: version) else {
            unexplained[key].append(Seen(version: version, value: value, time: time, number: number))
            return
        }
        let record = all[key].records[index]
        let numbers = (record.write.map { [writes[$0].number] } ?? []) + [number]
        if record.call > time {
            report(.unwritten, "version \(version) was seen before it was written", key, numbers)
        } else if !record.content.mayBe(value) {
            report(.wrongValue, "version \(version) was seen with another value than was written", key, numbers)
        }
    }
}

// MARK: - What is learned

extension Timelines {
    /// One version of one key that was written by one write.
    private struct Lesson {
        var write: Int
        var key: Int
        var version: History.Version
    }

    /// Finds unplaced writes for the versions of a key that were seen without being acknowledged.
    private mutating func learn(_ key: Int) -> [Lesson] {
        let groups = Dictionary(grouping: unexplained[key], by: \.version)
        var versions: [Seen] = []
        for (version, seen) in groups.sorted(by: { $0.key < $1.key }) {
            let values = Set(seen.compactMap(\.value))
            if values.count > 1 {
                report(.wrongValue, "version \(version) was seen with different values", key, seen.map(\.number))
            }
            guard var first = seen.min(by: { ($0.time, $0.number) < ($1.time, $1.number) }) else { continue }
            first.value = seen.compactMap(\.value).first
            versions.append(first)
        }
        var lessons: [Lesson] = []
        var done: Set<History.Value> = []
        for value in versions.compactMap(\.value) where done.insert(value).inserted {
            let sameValue = versions.filter { $0.value == value }.sorted {
                ($0.time, $0.version) < ($1.time, $1.version)
            }
            lessons += match(sameValue, of: key) { $0 == .value(value) }
        }
        _ = match(versions.filter { $0.value == nil }, of: key) { $0 != .deleted }
        all[key].records.sort { $0.version < $1.version }
        return lessons
    }

    /// Gives each version a write of its own: the versions by when they were seen, the writes by when they were called.
    private mutating func match(
        _ versions: [Seen],
        of key: Int,
        _ mayBe: (Timeline.Content) -> Bool
    ) -> [Lesson] {
        let candidates = all[key].unplaced.filter { mayBe($0.content) }
        var lessons: [Lesson] = []
        for (index, seen) in versions.enumerated() {
            var record = Timeline.Record(version: seen.version, content: .unseen, call: 0, write: nil)
            if let value = seen.value { record.content = .value(value) }
            if index < candidates.count, candidates[index].call <= seen.time {
                record.call = candidates[0].call
                if candidates.count == 1, seen.value != nil {
                    record.write = candidates[0].write
                    lessons.append(Lesson(write: candidates[0].write, key: key, version: seen.version))
                }
            } else {
                reportUnwritten(seen, key)
            }
            all[key].records.append(record)
        }
        return lessons
    }

    private mutating func reportUnwritten(_ seen: Seen, _ key: Int) {
        let authors = writes.filter { write in
            write.call <= seen.time
                && write.value(of: all[key].key).map { Timeline.Content($0) } == seen.value.map { .value($0) }
        }
        if seen.value == nil || authors.isEmpty {
            report(.unwritten, "nobody had written version \(seen.version)", key, [seen.number])
        } else {
            let text = "version \(seen.version) shows a value that was written at another version"
            report(.duplicateEffect, text, key, authors.map(\.number) + [seen.number])
        }
    }

    /// A write that was recognised on one key is at the same version on its other keys.
    private mutating func adopt(_ lessons: [Lesson]) {
        for (write, ofWrite) in Dictionary(grouping: lessons, by: \.write).sorted(by: { $0.key < $1.key }) {
            let versions = Set(ofWrite.map(\.version)).sorted()
            let number = writes[write].number
            if versions.count > 1 {
                report(.tornBatch, "one batch is at versions \(versions)", ofWrite[0].key, [number])
                continue
            }
            writes[write].version = versions[0]
            for key in writes[write].keys.map({ index(of: $0) }) {
                all[key].unplaced.removeAll { $0.write == write }
                guard let value = writes[write].value(of: all[key].key) else { continue }
                add(versions[0], Timeline.Content(value), write: write, to: key)
            }
        }
    }

    private mutating func add(_ version: History.Version, _ content: Timeline.Content, write: Int, to key: Int) {
        let call = writes[write].call
        let place = all[key].records.partitionPoint { $0.version >= version }
        guard place < all[key].records.count, all[key].records[place].version == version else {
            let record = Timeline.Record(version: version, content: content, call: call, write: write)
            all[key].records.insert(record, at: place)
            return
        }
        let present = all[key].records[place]
        if present.write == write { return }
        if present.content == .unseen {
            all[key].records[place].content = content
            all[key].records[place].write = write
        } else if present.write != nil || present.content != content {
            let numbers = [present.write, write].compactMap { $0.map { writes[$0].number } }
            report(.versionReused, "two writes have version \(version)", key, numbers)
        }
    }
}
