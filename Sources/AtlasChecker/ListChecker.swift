/// Checks keys whose values are lists that only grow: from what each reader saw of them follows who came before whom, and
/// a circle of such dependencies and real time is a violation.
///
/// Kingsbury, Alvaro: Elle: Inferring Isolation Anomalies from Experimental Observations (VLDB 2020).
///
/// An append is a put of the whole list with one more element at its end, on the condition that the list is what the
/// client had read. Elements are appended to a key once each; the keys are never deleted. Weak reads are left out.
package struct ListChecker: Sendable {
    /// The keys that begin so are lists.
    package var prefix: History.Key
    /// Whether what ended before a call must come before it. Without it: serializable instead of strictly so.
    package var usesRealTime: Bool

    package init(prefix: History.Key, usesRealTime: Bool = true) {
        self.prefix = prefix
        self.usesRealTime = usesRealTime
    }

    /// A list as the value of its key.
    package static func encode(_ elements: [UInt64]) -> History.Value {
        NumberText.encode(elements)
    }

    package static func decode(_ value: History.Value) -> [UInt64]? {
        NumberText.decode(value, as: UInt64.self)
    }

    package func check(_ history: History) -> [Violation] {
        check(Digest(history))
    }

    func check(_ digest: Digest) -> [Violation] {
        var inference = Inference(digest)
        for key in digest.keys where key.starts(with: prefix) { inference.add(key) }
        return inference.finish(usesRealTime: usesRealTime)
    }
}

/// Transactions are the digest's writes, then its reads.
private struct Inference {
    struct View {
        var transaction: Int
        var list: [UInt64]
    }

    struct Author {
        var transaction: Int
        /// Whether the element is the last that its transaction appended.
        var isLast: Bool
    }

    /// A key on which all views agree.
    struct List {
        var name: String
        var order: [UInt64]
        var authors: [UInt64: Author]
        var views: [View]
    }

    private let digest: Digest
    private var graph: DependencyGraph
    private var violations: [Violation] = []
    /// What took effect or was answered, and touches a list.
    private var members: Set<Int> = []
    private var lists: [List] = []

    init(_ digest: Digest) {
        self.digest = digest
        graph = DependencyGraph(transactionCount: digest.writes.count + digest.reads.count)
    }

    private func number(of transaction: Int) -> Int {
        let writes = digest.writes.count
        return transaction < writes ? digest.writes[transaction].number : digest.reads[transaction - writes].number
    }

    private mutating func report(_ kind: Violation.Kind, _ text: String, _ transactions: [Int]) {
        let numbers = transactions.map { number(of: $0) }
        violations.append(Violation(kind, digest.history.message(text, numbers)))
    }

    // MARK: One key

    mutating func add(_ key: History.Key) {
        let name = "list \(Text.of(key))"
        let authors = self.authors(of: key, name)
        let views = self.views(of: key, name)
        guard let longest = views.max(by: { ($0.list.count, $1.transaction) < ($1.list.count, $0.transaction) })
        else { return }
        for view in views where !longest.list.starts(with: view.list) {
            let text = "\(name): \(view.list) is no beginning of \(longest.list)"
            report(.listOrder, text, [view.transaction, longest.transaction])
            return
        }
        let order = longest.list
        guard checkElements(order, authors, longest, name) else { return }
        members.formUnion(order.compactMap { authors[$0]?.transaction })
        members.formUnion(views.map(\.transaction))
        lists.append(List(name: name, order: order, authors: authors, views: views))
    }

    private mutating func connect(_ list: List) {
        for (earlier, later) in zip(list.order, list.order.dropFirst()) {
            guard let first = list.authors[earlier], let second = list.authors[later] else { continue }
            let reason = "\(list.name): appended \(earlier), after which \(later) was appended by"
            graph.add(from: first.transaction, to: second.transaction, reason)
        }
        // Appended by a batch that is known from another key, and seen by nobody here: after all that was seen.
        let unseen = list.authors.filter { members.contains($0.value.transaction) && !list.order.contains($0.key) }
        let next = unseen.sorted { $0.key < $1.key }.map { (element: $0.key, author: $0.value) }
        for view in list.views { connect(view, in: list, unseen: next) }
    }

    private mutating func connect(_ view: View, in list: List, unseen: [(element: UInt64, author: Author)]) {
        if let last = view.list.last, let author = list.authors[last] {
            let reason = "\(list.name): appended \(last), which was seen by"
            graph.add(from: author.transaction, to: view.transaction, reason)
            if !author.isLast && author.transaction != view.transaction {
                let text = "\(list.name): \(view.list) shows a part of a batch"
                report(.tornBatch, text, [author.transaction, view.transaction])
            }
        }
        var missed = unseen
        if view.list.count < list.order.count, let author = list.authors[list.order[view.list.count]] {
            missed = [(list.order[view.list.count], author)]
        }
        for (element, author) in missed {
            let reason = "\(list.name): saw \(view.list), without \(element), which was appended by"
            graph.add(from: view.transaction, to: author.transaction, reason)
        }
    }

    private mutating func checkElements(
        _ order: [UInt64],
        _ authors: [UInt64: Author],
        _ longest: View,
        _ name: String
    ) -> Bool {
        var seen: Set<UInt64> = []
        for element in order {
            guard let author = authors[element] else {
                report(.unwritten, "\(name): nobody appended \(element)", [longest.transaction])
                return false
            }
            guard seen.insert(element).inserted else {
                let text = "\(name): \(element) was appended twice"
                report(.duplicateEffect, text, [author.transaction, longest.transaction])
                return false
            }
        }
        return true
    }

    // MARK: What is known of a key

    /// Who appended each element. Whether it took effect is another matter.
    private mutating func authors(of key: History.Key, _ name: String) -> [UInt64: Author] {
        var authors: [UInt64: Author] = [:]
        for (transaction, write) in digest.writes.enumerated() {
            let lists = self.puts(in: write, key, name)
            var appended = lists.first?.suffix(1) ?? []
            for (earlier, later) in zip(lists, lists.dropFirst()) { appended += later.dropFirst(earlier.count) }
            for (index, element) in appended.enumerated() {
                if let other = authors[element] {
                    let text = "\(name): \(element) is appended by two requests"
                    report(.malformed, text, [other.transaction, transaction])
                } else {
                    authors[element] = Author(transaction: transaction, isLast: index == appended.count - 1)
                }
            }
        }
        return authors
    }

    /// The lists that a write puts into a key, one after the other.
    private mutating func puts(in write: Digest.Write, _ key: History.Key, _ name: String) -> [[UInt64]] {
        var lists: [[UInt64]] = []
        for step in write.steps where step.key == key {
            guard case .put(let value) = step.kind else { continue }
            guard let list = ListChecker.decode(value) else {
                let text = "\(name): \(Text.of(value)) is no list"
                violations.append(Violation(.malformed, digest.history.message(text, [write.number])))
                continue
            }
            lists.append(list)
        }
        return lists
    }

    /// What transactions saw of a key, and what acknowledged ones left in it.
    private mutating func views(of key: History.Key, _ name: String) -> [View] {
        var views: [View] = []
        for (transaction, write) in digest.writes.enumerated() where write.isAcknowledged {
            let first = zip(write.steps, write.results).first { $0.0.key == key }
            if let list = list(first?.1) { views.append(View(transaction: transaction, list: list)) }
            if let list = puts(in: write, key, name).last { views.append(View(transaction: transaction, list: list)) }
        }
        for (index, read) in digest.reads.enumerated() where read.consistency == .consistent {
            for sighting in read.sightings where sighting.key == key {
                guard let list = list(sighting.observation) else { continue }
                views.append(View(transaction: digest.writes.count + index, list: list))
            }
        }
        return views
    }

    private func list(_ observation: History.Observation?) -> [UInt64]? {
        switch observation {
        case .absent: []
        case .found(let value?, _): ListChecker.decode(value)
        case .found(nil, _), .unknown, nil: nil
        }
    }

    // MARK: All keys

    mutating func finish(usesRealTime: Bool) -> [Violation] {
        for list in lists { connect(list) }
        if usesRealTime {
            let writes = digest.writes.enumerated().map { (transaction: $0, call: $1.call, response: $1.response) }
            let reads = digest.reads.enumerated().map {
                (transaction: digest.writes.count + $0, call: $1.call, response: UInt64?.some($1.response))
            }
            graph.addRealTime((writes + reads).filter { members.contains($0.transaction) })
        }
        for cycle in graph.cycles() {
            var lines = ["each of these comes before the next, and the last before the first"]
            for link in cycle {
                lines.append("  " + digest.history.line(number(of: link.transaction)))
                lines.append("    " + link.reason)
            }
            violations.append(Violation(.dependencyCycle, lines.joined(separator: "\n")))
        }
        return violations
    }
}
