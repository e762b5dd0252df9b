/// Checks a history by the versions that its answers carry: per key, the order of versions is the order in which things
/// happened. Takes time in proportion to n log n.
///
/// What is checked: the order of versions respects real time; a consistent read shows the newest version at its place;
/// nobody reads what nobody wrote; a request takes effect once; conditions held where they had to; what is read together
/// (scans, batches of gets) was there together; a weak read has what its answer claims to have.
/// Writes without a version count as unknown: their version is learned from those who saw their value.
package struct WhiteBoxChecker: Sendable {
    package init() {}

    package func check(_ history: History) -> [Violation] {
        check(Digest(history))
    }

    func check(_ digest: Digest) -> [Violation] {
        var sweep = Sweep(digest)
        sweep.run()
        return sweep.timelines.violations + sweep.violations
    }
}

/// One pass over the history in the order of time. It keeps for each key the highest version that anybody knows of:
/// later writes are above it, later reads not below it.
struct Sweep {
    struct Floor {
        var version: History.Version = 0
        /// The operation that showed it.
        var number: Int?
    }

    let digest: Digest
    let timelines: Timelines
    private(set) var violations: [Violation] = []
    private var floors: [Floor]
    /// Of each read when it was called: over its keys the highest floor, and each key's own for `min_version`.
    private var floorAtCall: [Floor]
    private var weakFloorAtCall: [History.Version]

    init(_ digest: Digest) {
        self.digest = digest
        timelines = Timelines(digest)
        floors = Array(repeating: Floor(), count: digest.keys.count)
        floorAtCall = Array(repeating: Floor(), count: digest.reads.count)
        weakFloorAtCall = Array(repeating: 0, count: digest.reads.count)
    }

    private enum Event {
        case writeCalled(Int)
        case readCalled(Int)
        case writeReturned(Int)
        case readReturned(Int)
    }

    mutating func run() {
        for event in events() {
            switch event {
            case .writeCalled(let index): checkWriteOrder(timelines.writes[index])
            case .readCalled(let index): noteFloor(index)
            case .writeReturned(let index): finish(timelines.writes[index])
            case .readReturned(let index): finish(digest.reads[index], index)
            }
        }
        for write in timelines.writes { checkPredecessor(write) }
    }

    /// At one time calls come first: operations that end and begin together are concurrent.
    private func events() -> [Event] {
        var events: [(time: UInt64, isReturn: Bool, event: Event)] = []
        for (index, write) in timelines.writes.enumerated() {
            events.append((write.call, false, .writeCalled(index)))
            if let response = write.response { events.append((response, true, .writeReturned(index))) }
        }
        for (index, read) in digest.reads.enumerated() {
            events.append((read.call, false, .readCalled(index)))
            events.append((read.response, true, .readReturned(index)))
        }
        let order = events.indices.sorted {
            (events[$0].time, events[$0].isReturn ? 1 : 0, $0) < (events[$1].time, events[$1].isReturn ? 1 : 0, $1)
        }
        return order.map { events[$0].event }
    }

    private mutating func raise(_ key: History.Key, to version: History.Version, by number: Int) {
        let index = timelines.index(of: key)
        if version > floors[index].version { floors[index] = Floor(version: version, number: number) }
    }

    mutating func report(_ kind: Violation.Kind, _ text: String, _ numbers: [Int?]) {
        violations.append(Violation(kind, digest.history.message(text, numbers.compactMap(\.self))))
    }
}

// MARK: - Writes

extension Sweep {
    private mutating func checkWriteOrder(_ write: Digest.Write) {
        guard let version = write.version else { return }
        for key in write.keys {
            let floor = floors[timelines.index(of: key)]
            guard floor.version >= version else { continue }
            let text = "key \(Text.of(key)): version \(version) was written after version \(floor.version) was known"
            report(.realTimeOrder, text, [floor.number, write.number])
            return
        }
    }

    private mutating func finish(_ write: Digest.Write) {
        guard let version = write.version else { return }
        for key in write.keys { raise(key, to: version, by: write.number) }
    }

    /// What a write met is what the version before its own left.
    private mutating func checkPredecessor(_ write: Digest.Write) {
        guard let version = write.version else { return }
        for key in write.keys {
            let timeline = timelines.all[timelines.index(of: key)]
            var state = timeline.newest(below: version)
            let author = state?.write.map { timelines.writes[$0].number }
            for (step, result) in zip(write.steps, write.results) where step.key == key {
                let seen = result == .unknown ? step.condition?.demand : result
                if let seen, !seen.fits(state), !timeline.mayExplain(seen, by: write.response ?? .max) {
                    let kind: Violation.Kind = result == .unknown ? .conditionIgnored : .wrongPredecessor
                    let text =
                        "key \(Text.of(key)): version \(version) met \(Text.of(seen)), but there was \(state.text)"
                    report(kind, text, [author, write.number])
                    break
                }
                switch step.kind {
                case .get: break
                case .put(let value):
                    state = Timeline.Record(version: version, content: .value(value), call: write.call)
                case .delete:
                    state = Timeline.Record(version: version, content: .deleted, call: write.call)
                }
            }
        }
    }
}

extension History.Condition {
    /// What must have been there for the condition to hold.
    fileprivate var demand: History.Observation {
        switch self {
        case .absent: .absent
        case .exists: .found(nil, version: nil)
        case .version(let version): .found(nil, version: version)
        case .valueEquals(let value): .found(value, version: nil)
        }
    }
}

extension History.Observation {
    /// Whether the newest record of a key looks so.
    fileprivate func fits(_ record: Timeline.Record?) -> Bool {
        let content = record?.content ?? .deleted
        if case .found(_, let version?) = self, version != record?.version { return false }
        return content.matches(self)
    }
}

extension Timeline.Record? {
    fileprivate var text: String {
        switch self?.content {
        case nil: "nothing"
        case .deleted: "nothing since version \(self?.version ?? 0)"
        case .unseen: "version \(self?.version ?? 0)"
        case .value(let value): Text.of(History.Observation.found(value, version: self?.version))
        }
    }
}

// MARK: - Reads

extension Sweep {
    private mutating func noteFloor(_ index: Int) {
        let read = digest.reads[index]
        for sighting in read.sightings {
            let floor = floors[timelines.index(of: sighting.key)]
            if floor.version > floorAtCall[index].version { floorAtCall[index] = floor }
            if case .weak(let weak) = read.consistency {
                // Of what is at or below `min_version`, the read must have what was known when it began.
                weakFloorAtCall[index] = max(weakFloorAtCall[index], min(weak.minVersion, floor.version))
            }
        }
    }

    private mutating func finish(_ read: Digest.Read, _ index: Int) {
        var floor = Floor()
        switch read.consistency {
        case .consistent: floor = floorAtCall[index]
        case .at: break
        case .weak(let weak):
            floor.version = max(weak.claim, weakFloorAtCall[index])
        }
        let place = self.place(of: read, from: floor.version)
        if case .found(let version) = place {
            // What a weak read claims beyond what it shows is its own affair.
            if case .weak = read.consistency, case .found(let shown) = self.place(of: read, from: 0) {
                raise(read, to: shown)
            } else {
                raise(read, to: version)
            }
        } else if case .found = self.place(of: read, from: 0) {
            reportStale(read, floor, place)
        } else {
            reportImpossible(read, place)
        }
    }

    private mutating func raise(_ read: Digest.Read, to version: History.Version) {
        for sighting in read.sightings { raise(sighting.key, to: version, by: read.number) }
    }

    private enum Place {
        case found(History.Version)
        /// The sighting that was over by then.
        case none(Digest.Sighting, at: History.Version)
    }

    /// The lowest version, not below `floor`, at which everything looked as the read saw it. A read that names an older
    /// version must be of that version, and nothing of it may have changed up to the floor.
    private func place(of read: Digest.Read, from floor: History.Version) -> Place {
        guard let version = read.version else { return earliest(read, from: floor) }
        for place in version < floor ? [version, floor] : [version] {
            if let missed = read.sightings.first(where: { earliest($0, of: read, from: place) != place }) {
                return .none(missed, at: place)
            }
        }
        return .found(max(version, floor))
    }

    private func earliest(_ read: Digest.Read, from floor: History.Version) -> Place {
        var version = floor
        var isSettled = false
        while !isSettled {
            isSettled = true
            for sighting in read.sightings {
                guard let next = earliest(sighting, of: read, from: version) else {
                    return .none(sighting, at: version)
                }
                if next > version {
                    version = next
                    isSettled = false
                }
            }
        }
        return .found(version)
    }

    private func earliest(
        _ sighting: Digest.Sighting,
        of read: Digest.Read,
        from version: History.Version
    ) -> History.Version? {
        timelines.all[timelines.index(of: sighting.key)]
            .earliest(from: version, sighting.observation, by: read.response)
    }

    private mutating func reportStale(_ read: Digest.Read, _ floor: Floor, _ place: Place) {
        guard case .none(let sighting, let version) = place else { return }
        let seen = "key \(Text.of(sighting.key)): saw \(Text.of(sighting.observation))"
        let newer = newest(sighting.key, upTo: version)
        if case .weak = read.consistency {
            report(.staleWeakRead, "\(seen), but must have everything up to \(floor.version)", [newer, read.number])
        } else {
            report(.staleRead, "\(seen), but version \(floor.version) was known before", [floor.number, read.number])
        }
    }

    private mutating func reportImpossible(_ read: Digest.Read, _ place: Place) {
        guard case .none(let sighting, let version) = place else { return }
        let seen = "key \(Text.of(sighting.key)): saw \(Text.of(sighting.observation))"
        let numbers = [newest(sighting.key, upTo: version), read.number]
        if read.version != nil {
            report(.tornSnapshot, "\(seen), which is not the state at version \(version)", numbers)
        } else if read.sightings.count == 1 {
            report(.unwritten, "\(seen), which was never so", numbers)
        } else {
            report(.tornSnapshot, "\(seen), but other keys show version \(version)", numbers)
        }
    }

    private func newest(_ key: History.Key, upTo version: History.Version) -> Int? {
        let record = timelines.all[timelines.index(of: key)].newest(below: version == .max ? version : version + 1)
        return record?.write.map { timelines.writes[$0].number }
    }
}
