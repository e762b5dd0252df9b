/// Checks the times at which operations told what had expired: of one key no consistent one goes back behind what any has shown.
/// Otherwise a key whose time to live is over could be there again.
package struct TimeChecker: Sendable {
    package init() {}

    fileprivate struct Look {
        var number: Int
        var call: UInt64
        var response: UInt64
        var time: History.Version
        /// Of a weak read, or at a version that the client has chosen, it may be below earlier ones: what was shown then must not be
        /// taken back all the same.
        var mayBePast: Bool
    }

    package func check(_ history: History) -> [Violation] {
        var looks: [History.Key: [Look]] = [:]
        for (number, operation) in history.operations.enumerated() {
            guard case .batch(let steps) = operation.action, let look = Look(number, operation) else { continue }
            for key in Set(steps.map(\.key)) { looks[key, default: []].append(look) }
        }
        for (number, operation) in history.operations.enumerated() {
            guard case .scan(let scan) = operation.action, let look = Look(number, operation) else { continue }
            for key in looks.keys where scan.contains(key) { looks[key]!.append(look) }
        }
        return looks.sorted { $0.key.precedes($1.key) }.compactMap { key, looks in
            Self.check(looks).map { earlier, later in
                let text =
                    "key \(Text.of(key)): \(later.time) is the time of an operation that began after one of \(earlier.time)"
                return Violation(.timeWentBack, history.message(text, [earlier.number, later.number]))
            }
        }
    }

    private static func check(_ looks: [Look]) -> (Look, Look)? {
        let ended = looks.sorted { $0.response < $1.response }
        var next = 0
        var latest: Look?
        for look in looks.sorted(by: { $0.call < $1.call }) {
            while next < ended.count, ended[next].response < look.call {
                if ended[next].time > latest?.time ?? 0 { latest = ended[next] }
                next += 1
            }
            if let latest, latest.time > look.time, !look.mayBePast { return (latest, look) }
        }
        return nil
    }
}

extension TimeChecker.Look {
    fileprivate init?(_ number: Int, _ operation: History.Operation) {
        guard let response = operation.response, let time = operation.time else { return nil }
        let mayBePast = operation.consistency != .consistent
        self.init(number: number, call: operation.call, response: response, time: time, mayBePast: mayBePast)
    }
}
