package import AtlasTypes

/// One run of the program under a node's name.
package struct PeerProcess: Hashable, Sendable {
    var name: String
    var incarnation: UInt64
    /// Random for each run, so that two runs on copies of one directory are told apart; 0 where an older program does not say.
    var life: UInt64
    /// Where it says that it is reached.
    package var address: HostPort?

    /// Whether both can be the same run.
    func mayBe(_ other: PeerProcess) -> Bool {
        incarnation == other.incarnation && (life == other.life || life == 0 || other.life == 0)
    }
}

/// Which process goes by the name of each other node, as its links to this one show. While it is heard, no other process gets
/// in under its name: neither one with a disk of its own nor one with a copy of the disk.
struct NamesInUse {
    private struct Holder {
        var process: PeerProcess
        /// Open ones, by number.
        var links: Set<Int>
        let counters: PeerCounters
    }

    private var holders: [NodeID: Holder] = [:]
    /// The incarnation that the cluster counts on, and since when, in monotonic nanoseconds: of nodes whose name a stranger had.
    private var rightful: [NodeID: (incarnation: UInt64, at: UInt64)] = [:]
    /// Who was refused here, and when last, in monotonic nanoseconds.
    private var refused: [NodeID: (process: PeerProcess, at: UInt64)] = [:]
    /// What other nodes have said of those whom they refused.
    private var heardOf: [NodeID: (process: PeerProcess, at: UInt64)] = [:]

    /// A process that has been silent for so long holds its name no more, in nanoseconds.
    static let silenceMax: UInt64 = 3_000_000_000
    /// For how long a rival is remembered that does not try again, in nanoseconds.
    static let memory: UInt64 = 30_000_000_000

    /// The process that is heard under a name now.
    func holder(of node: NodeID, now: UInt64) -> PeerProcess? {
        guard let holder = holders[node], !holder.links.isEmpty,
            now < holder.counters.heardAt &+ Self.silenceMax
        else { return nil }
        return holder.process
    }

    /// Whether a process may speak for its node.
    mutating func check(_ process: PeerProcess, now: UInt64) throws(PeerRefusal) {
        let node = NodeID(name: process.name)
        let holder = holder(of: node, now: now)
        guard holder.map({ !$0.mayBe(process) }) ?? isStranger(process, now: now) else { return }
        let isNews = refused[node].map { !$0.process.mayBe(process) || now > $0.at + Self.memory } ?? true
        refused[node] = (process, now)
        let place = holder?.address.map { " at \($0)" } ?? ""
        let what =
            holder?.incarnation == process.incarnation ? "a copy of the same data directory" : "another data directory"
        throw PeerRefusal(
            isNameTaken: true,
            isNews: isNews,
            reason: """
                another process runs as node \(process.name)\(place), with \(what); end one of them, or give this one a \
                name and a directory of its own
                """
        )
    }

    /// Gives a name to a process that has opened a link. What was open before belongs to a process that is gone.
    /// - Returns: the links that it replaces.
    mutating func take(_ process: PeerProcess, link: Int, counters: PeerCounters) -> Set<Int> {
        let node = NodeID(name: process.name)
        if let holder = holders[node], holder.process.mayBe(process) {
            holders[node]?.links.insert(link)
            return []
        }
        let former = holders[node]?.links ?? []
        holders[node] = Holder(process: process, links: [link], counters: counters)
        return former
    }

    /// Gives a name back to the incarnation whose votes count. Who had it is refused from now on.
    /// - Returns: the links that end.
    mutating func giveBack(_ node: NodeID, to incarnation: UInt64, now: UInt64) -> Set<Int> {
        rightful[node] = (incarnation, now)
        return holders.removeValue(forKey: node)?.links ?? []
    }

    private func isStranger(_ process: PeerProcess, now: UInt64) -> Bool {
        guard let (incarnation, at) = rightful[NodeID(name: process.name)], now < at + Self.memory else { return false }
        return process.incarnation != incarnation
    }

    mutating func release(link: Int) {
        for node in holders.keys { holders[node]?.links.remove(link) }
    }

    // MARK: - Rivals

    /// Those that this node has refused lately.
    func refusedLately(now: UInt64) -> [PeerProcess] {
        refused.values.filter { now < $0.at + Self.memory }.map(\.process).sorted { $0.name < $1.name }
    }

    /// Takes in whom another node has refused.
    /// - Returns: whether that was news.
    mutating func hear(of rival: PeerProcess, now: UInt64) -> Bool {
        let node = NodeID(name: rival.name)
        let before = heardOf.updateValue((rival, now), forKey: node)
        return before.map { !$0.process.mayBe(rival) || now > $0.at + Self.memory } ?? true
    }

    /// A process that uses a node's name and is not the one that the cluster takes for it.
    func rival(of node: NodeID, now: UInt64) -> PeerProcess? {
        [refused[node], heardOf[node]].compactMap(\.self).first { now < $0.at + Self.memory }?.process
    }
}
