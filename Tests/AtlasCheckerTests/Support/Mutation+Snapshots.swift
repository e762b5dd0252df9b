import AtlasChecker

extension Mutation {
    static let snapshots: [Mutation] = [
        Mutation(name: "a scan shows an older version of one key", kinds: [.tornSnapshot, .staleRead]) { draft in
            for index in draft.shuffled() {
                let operation = draft.operations[index]
                guard let scanned = operation.scanned, operation.consistency == .consistent else { continue }
                for (place, item) in scanned.items.enumerated() {
                    let newer = draft.operations.first {
                        $0.written?.key == item.key && $0.written?.version == item.version
                    }
                    guard let response = newer?.response, response < operation.call else { continue }
                    let older = draft.operations.compactMap(\.written).first {
                        $0.key == item.key && $0.version < item.version ?? 0
                    }
                    guard let older else { continue }
                    var items = scanned.items
                    items[place] = History.Item(item.key, older.value, version: older.version)
                    draft.operations[index].outcome = .scanned(items, version: scanned.version)
                    return true
                }
            }
            return false
        },
        Mutation(name: "a scan at a version leaves out a key", kinds: [.tornSnapshot]) { draft in
            for index in draft.shuffled() {
                guard let scanned = draft.operations[index].scanned, scanned.scan.limit == 0, !scanned.items.isEmpty
                else { continue }
                let version: UInt64? =
                    if case .at(let version) = draft.operations[index].consistency { version } else { scanned.version }
                guard version != nil else { continue }
                let isUnsure = draft.operations.contains { $0.deletes(scanned.items[0].key) && $0.response == nil }
                if isUnsure { continue }
                let items = Array(scanned.items.dropFirst())
                draft.operations[index].outcome = .scanned(items, version: scanned.version)
                return true
            }
            return false
        },
        Mutation(name: "a scan at a version shows a later write", kinds: [.tornSnapshot]) { draft in
            for index in draft.shuffled() {
                guard let scanned = draft.operations[index].scanned,
                    case .at(let version) = draft.operations[index].consistency
                else { continue }
                for (place, item) in scanned.items.enumerated() {
                    let response = draft.operations[index].response ?? 0
                    let later = draft.operations.first {
                        $0.written?.key == item.key && ($0.written?.version ?? 0) > version && $0.call <= response
                    }
                    guard let written = later?.written else { continue }
                    var items = scanned.items
                    items[place] = History.Item(item.key, written.value, version: written.version)
                    draft.operations[index].outcome = .scanned(items, version: scanned.version)
                    return true
                }
            }
            return false
        },
        Mutation(name: "a scan mixes two versions", kinds: [.tornSnapshot]) { draft in
            // Of one batch it shows one key, of another key what the batch overwrote.
            for writer in draft.shuffled() {
                guard let batch = draft.operations[writer].batched else { continue }
                let tablet = batch.keys[0][0]
                for index in draft.shuffled() {
                    guard let scanned = draft.operations[index].scanned, scanned.scan.limit == 0,
                        !scanned.scan.reverse, scanned.scan.start == [tablet]
                    else { continue }
                    var items = scanned.items
                    guard let new = items.firstIndex(where: { $0.version == batch.version }) else { continue }
                    let other = batch.keys.first { $0 != items[new].key }
                    guard let other, let place = items.firstIndex(where: { $0.key == other }) else { continue }
                    let older = draft.operations.compactMap(\.written).first {
                        $0.key == other && $0.version < batch.version
                    }
                    guard let older else { continue }
                    items[place] = History.Item(other, older.value, version: older.version)
                    draft.operations[index].outcome = .scanned(items)
                    draft.operations[index].consistency = .weak(History.WeakRead())
                    return true
                }
            }
            return false
        },
        Mutation(name: "a batch is read in parts", kinds: [.tornSnapshot]) { draft in
            for writer in draft.shuffled() {
                guard let batch = draft.operations[writer].batched else { continue }
                let (first, second) = (batch.keys[0], batch.keys[1])
                let older = draft.operations.compactMap(\.written).first {
                    $0.key == second && $0.version < batch.version
                }
                guard let older, case .batch(let steps) = draft.operations[writer].action,
                    case .put(let value) = steps.last(where: { $0.key == first && $0.isWrite })?.kind
                else { continue }
                let end = 1 + (draft.operations.map { $0.response ?? 0 }.max() ?? 0)
                draft.operations.append(
                    History.Operation(
                        process: 99,
                        call: end,
                        response: end,
                        action: .batch([History.Step(.get, first), History.Step(.get, second)]),
                        outcome: .applied(
                            version: nil,
                            results: [
                                .found(value, version: batch.version), .found(older.value, version: older.version),
                            ]
                        ),
                        consistency: .weak(History.WeakRead())
                    )
                )
                return true
            }
            return false
        },
        Mutation(name: "a batch without an answer is at two versions", kinds: [.tornBatch]) { draft in
            let end = 1 + (draft.operations.map { $0.response ?? 0 }.max() ?? 0)
            let keys = ["a0".key, "a1".key]
            func operation(_ at: UInt64, _ action: History.Action, _ outcome: History.Outcome) -> History.Operation {
                let response = outcome == .unknown ? nil : at
                return History.Operation(process: 99, call: at, response: response, action: action, outcome: outcome)
            }
            let steps = keys.map { History.Step(.put("torn".key), $0) }
            draft.operations.append(operation(end, .batch(steps), .unknown))
            draft.operations.append(operation(end + 1, .get(keys[0]), .found("torn".key, version: 900_000)))
            draft.operations.append(operation(end + 2, .get(keys[1]), .found("torn".key, version: 900_001)))
            return true
        },
        Mutation(name: "a scan is out of order", kinds: [.scanShape]) { draft in
            for index in draft.shuffled() {
                guard let scanned = draft.operations[index].scanned, scanned.items.count > 1 else { continue }
                draft.operations[index].outcome = .scanned(scanned.items.reversed(), version: scanned.version)
                return true
            }
            return false
        },
        Mutation(name: "a scan leaves its range", kinds: [.scanShape]) { draft in
            for index in draft.shuffled() {
                guard let scanned = draft.operations[index].scanned, let item = scanned.items.last,
                    !scanned.scan.reverse
                else { continue }
                var scan = scanned.scan
                scan.end = item.key
                draft.operations[index].action = .scan(scan)
                return true
            }
            return false
        },
        Mutation(name: "a scan exceeds its limit", kinds: [.scanShape]) { draft in
            for index in draft.shuffled() {
                guard let scanned = draft.operations[index].scanned, scanned.items.count > 1 else { continue }
                var scan = scanned.scan
                scan.limit = 1
                draft.operations[index].action = .scan(scan)
                return true
            }
            return false
        },
    ]
}
