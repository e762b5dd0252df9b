/// Who must come before whom, and why. Finds circles.
struct DependencyGraph {
    struct Edge {
        var target: Int
        /// `nil`: real time.
        var reason: String?
    }

    /// The first nodes are transactions; those after them stand for moments.
    let transactionCount: Int
    private(set) var edges: [[Edge]]

    init(transactionCount: Int) {
        self.transactionCount = transactionCount
        edges = Array(repeating: [], count: transactionCount)
    }

    mutating func add(from source: Int, to target: Int, _ reason: String) {
        guard source != target else { return }
        edges[source].append(Edge(target: target, reason: reason))
    }

    /// Adds an edge from each transaction to all that were called after it had ended. A chain of moments carries them:
    /// two or three edges for each transaction instead of one for each pair.
    mutating func addRealTime(_ spans: [(transaction: Int, call: UInt64, response: UInt64?)]) {
        var events: [(time: UInt64, isReturn: Bool, transaction: Int)] = []
        for span in spans {
            events.append((span.call, false, span.transaction))
            if let response = span.response { events.append((response, true, span.transaction)) }
        }
        // At one time calls come first: operations that end and begin together are concurrent.
        events.sort { ($0.time, $0.isReturn ? 1 : 0, $0.transaction) < ($1.time, $1.isReturn ? 1 : 0, $1.transaction) }
        var moment: Int?
        for event in events {
            if event.isReturn {
                let next = edges.count
                edges.append([])
                edges[event.transaction].append(Edge(target: next))
                if let moment { edges[moment].append(Edge(target: next)) }
                moment = next
            } else if let moment {
                edges[moment].append(Edge(target: event.transaction))
            }
        }
    }

    /// From a transaction to the next one on a circle.
    struct Link {
        var transaction: Int
        var reason: String
    }

    /// A short circle for each strongly connected set of transactions.
    func cycles() -> [[Link]] {
        components().compactMap { component in
            let members = Set(component)
            let starts = component.filter { $0 < transactionCount }.sorted().prefix(Self.startsMax)
            let cycles = starts.compactMap { cycle(through: $0, in: members) }
            return cycles.min { $0.count < $1.count }
        }
    }

    private static let startsMax = 200

    /// The shortest way from a node back to itself.
    private func cycle(through start: Int, in members: Set<Int>) -> [Link]? {
        var previous: [Int: (node: Int, reason: String?)] = [:]
        var queue = [start]
        var head = 0
        while head < queue.count, previous[start] == nil {
            let node = queue[head]
            head += 1
            for edge in edges[node] where members.contains(edge.target) && previous[edge.target] == nil {
                previous[edge.target] = (node, edge.reason)
                queue.append(edge.target)
            }
        }
        var links: [Link] = []
        var node = start
        repeat {
            guard let step = previous[node] else { return nil }
            node = step.node
            if node < transactionCount {
                links.append(Link(transaction: node, reason: step.reason ?? "ended before the call of"))
            }
        } while node != start
        return links.reversed()
    }

    /// Strongly connected components of more than one node (Tarjan 1972, without recursion).
    private func components() -> [[Int]] {
        var search = ComponentSearch(edges)
        for node in edges.indices { search.visit(node) }
        return search.components
    }
}

private struct ComponentSearch {
    private let edges: [[DependencyGraph.Edge]]
    private var indexOf: [Int]
    private var lowest: [Int]
    private var isOpen: [Bool]
    private var open: [Int] = []
    private var count = 0
    private(set) var components: [[Int]] = []

    init(_ edges: [[DependencyGraph.Edge]]) {
        self.edges = edges
        indexOf = Array(repeating: -1, count: edges.count)
        lowest = Array(repeating: 0, count: edges.count)
        isOpen = Array(repeating: false, count: edges.count)
    }

    mutating func visit(_ root: Int) {
        guard indexOf[root] < 0 else { return }
        var path: [(node: Int, edge: Int)] = [(root, 0)]
        enter(root)
        while let (node, edge) = path.last {
            if edge < edges[node].count {
                path[path.count - 1].edge += 1
                let target = edges[node][edge].target
                if indexOf[target] < 0 {
                    enter(target)
                    path.append((target, 0))
                } else if isOpen[target] {
                    lowest[node] = min(lowest[node], indexOf[target])
                }
            } else {
                path.removeLast()
                if let parent = path.last?.node { lowest[parent] = min(lowest[parent], lowest[node]) }
                if lowest[node] == indexOf[node] { close(node) }
            }
        }
    }

    private mutating func enter(_ node: Int) {
        indexOf[node] = count
        lowest[node] = count
        count += 1
        open.append(node)
        isOpen[node] = true
    }

    private mutating func close(_ root: Int) {
        var component: [Int] = []
        while let node = open.popLast() {
            isOpen[node] = false
            component.append(node)
            if node == root { break }
        }
        if component.count > 1 { components.append(component) }
    }
}
