import AtlasChecker

extension Mutation {
    static let reads: [Mutation] = [
        Mutation(name: "a read shows another value at its version", kinds: [.wrongValue]) { draft in
            for index in draft.shuffled() {
                guard let (_, _, version) = draft.operations[index].shown else { continue }
                let isKnown = draft.operations.contains { $0.written?.version == version }
                guard isKnown else { continue }
                draft.operations[index].show(.found("other".key, version: version))
                return true
            }
            return false
        },
        Mutation(name: "a read shows what nobody wrote", kinds: [.unwritten]) { draft in
            for index in draft.shuffled() where draft.operations[index].gotten != nil {
                draft.operations[index].show(.found("from nowhere".key, version: 999_999))
                return true
            }
            return false
        },
        Mutation(name: "a read shows a value at a version of its own", kinds: [.duplicateEffect]) { draft in
            for index in draft.shuffled() {
                guard let (_, value, version) = draft.operations[index].shown else { continue }
                let isKnown = draft.operations.contains { $0.written?.version == version }
                guard isKnown else { continue }
                draft.operations[index].show(.found(value, version: version + 500_000))
                return true
            }
            return false
        },
        Mutation(name: "a stale read", kinds: [.staleRead]) { draft in
            for index in draft.shuffled() {
                let read = draft.operations[index]
                guard let (key, _, version) = read.shown, read.consistency == .consistent else { continue }
                // The write that it saw had returned, so what was before it is stale.
                let newer = draft.operations.first { $0.written?.version == version && $0.written?.key == key }
                guard let newer, let response = newer.response, response < read.call else { continue }
                let older = draft.operations.compactMap(\.written).first { $0.key == key && $0.version < version }
                guard let older else { continue }
                draft.operations[index].show(.found(older.value, version: older.version))
                return true
            }
            return false
        },
        Mutation(name: "a lost write", kinds: [.staleRead, .unwritten]) { draft in
            for index in draft.shuffled() {
                let read = draft.operations[index]
                guard let (key, _, version) = read.shown, read.consistency == .consistent else { continue }
                let writer = draft.operations.first { $0.written?.version == version && $0.written?.key == key }
                guard let response = writer?.response, response < read.call else { continue }
                let mayBeDeleted = draft.operations.contains { $0.deletes(key) && ($0.response ?? .max) >= response }
                guard !mayBeDeleted else { continue }
                draft.operations[index].show(.absent)
                return true
            }
            return false
        },
        Mutation(name: "a read sees the future", kinds: [.unwritten, .placeOrder]) { draft in
            for index in draft.shuffled() {
                let read = draft.operations[index]
                guard let (key, _) = read.gotten, read.consistency == .consistent, let response = read.response
                else { continue }
                let future = draft.operations.first {
                    $0.call > response && $0.written?.key == key && $0.requestID == nil
                }
                guard let written = future?.written else { continue }
                draft.operations[index].show(.found(written.value, version: written.version))
                return true
            }
            return false
        },
        Mutation(name: "a weak read misses what it claims", kinds: [.staleWeakRead]) { draft in
            for index in draft.shuffled() where draft.operations[index].isWeak {
                guard let (key, _, version) = draft.operations[index].shown else { continue }
                let newer = draft.operations.compactMap(\.written).first { $0.key == key && $0.version > version }
                guard let newer else { continue }
                draft.operations[index].consistency = .weak(History.WeakRead(asOf: newer.version))
                return true
            }
            return false
        },
        Mutation(name: "a weak read is staler than stated", kinds: [.staleWeakRead]) { draft in
            for index in draft.shuffled() where draft.operations[index].isWeak {
                guard let (key, _, version) = draft.operations[index].shown else { continue }
                guard
                    draft.operations.contains(where: { $0.written?.key == key && ($0.written?.version ?? 0) > version })
                else { continue }
                draft.operations[index].consistency = .weak(History.WeakRead(staleness: 5, servedAt: 10))
                return true
            }
            return false
        },
        Mutation(name: "a weak read is below min_version", kinds: [.staleWeakRead]) { draft in
            for index in draft.shuffled() where draft.operations[index].isWeak {
                let read = draft.operations[index]
                guard let (key, _, version) = read.shown else { continue }
                let newer = draft.operations.first {
                    $0.written?.key == key && ($0.written?.version ?? 0) > version && ($0.response ?? .max) < read.call
                }
                guard let newer = newer?.written else { continue }
                draft.operations[index].consistency = .weak(History.WeakRead(minVersion: newer.version))
                return true
            }
            return false
        },
    ]
}

extension History.Operation {
    /// Whether the operation deletes a key, or may do so.
    func deletes(_ key: [UInt8]) -> Bool {
        guard case .batch(let steps) = action else { return false }
        if case .conditionFailed = outcome { return false }
        return steps.last { $0.key == key && $0.isWrite }?.kind == .delete
    }
}
