internal import AtlasCore
internal import AtlasTypes
package import AtlasConfiguration

/// Who belongs to the cluster, as far as a node has heard. It decides nothing about data: the voters of a tablet are in its
/// config. Nodes exchange their tables, and of two entries for one node the later counts, so that all come to the same.
package struct MemberTable: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        var member: ClusterMember
        /// 0 as configured; after that milliseconds since 1970, when somebody changed it.
        var generation: UInt64
        /// The node has left the cluster for good.
        var isRemoved = false
    }

    /// Sorted by name.
    private(set) var entries: [Entry] = []

    init() {}

    init(configured members: [ClusterMember]) {
        for member in members { set(Entry(member: member, generation: 0)) }
    }

    /// Those that have not left.
    var members: [ClusterMember] {
        entries.filter { !$0.isRemoved }.map(\.member)
    }

    subscript(name: String) -> Entry? {
        entries.first { $0.member.name == name }
    }

    subscript(id: NodeID) -> ClusterMember? {
        entries.first { $0.member.id == id && !$0.isRemoved }?.member
    }

    /// Takes in what another node has heard.
    /// - Parameter believes: whether an entry is taken in if it is later.
    /// - Returns: whether that was news.
    mutating func merge(_ other: MemberTable, believes: (Entry) -> Bool = { _ in true }) -> Bool {
        var isNews = false
        for entry in other.entries where believes(entry) && set(entry) { isNews = true }
        return isNews
    }

    /// Adds a node, or changes its address.
    /// - Parameter now: milliseconds since 1970.
    package mutating func add(_ member: ClusterMember, now: UInt64) {
        let known = self[member.name]
        if let known, known.member == member, !known.isRemoved { return }
        set(Entry(member: member, generation: max(now, (known?.generation ?? 0) + 1)))
    }

    /// Says again what is known of a node, so that it counts more than something else of a time.
    mutating func assert(_ member: ClusterMember, after generation: UInt64) {
        let (next, isLast) = generation.addingReportingOverflow(1)
        if !isLast { set(Entry(member: member, generation: next)) }
    }

    /// - Parameter now: milliseconds since 1970.
    package mutating func remove(_ name: String, now: UInt64) {
        guard let known = self[name] else { return }
        set(Entry(member: known.member, generation: max(now, known.generation + 1), isRemoved: true))
    }

    /// - Returns: whether the entry is later than the one before, and kept. Of two of the same time one counts, whoever
    ///   compares them.
    @discardableResult
    private mutating func set(_ entry: Entry) -> Bool {
        let index = entries.lowerBound { $0.member.name < entry.member.name }
        guard index < entries.count, entries[index].member.name == entry.member.name else {
            entries.insert(entry, at: index)
            return entries.count <= Self.entriesMax || dropOne() != entry
        }
        guard entries[index].rank < entry.rank else { return false }
        entries[index] = entry
        return true
    }
}

extension MemberTable {
    /// Forgets a node that has left, the one of the longest ago: nodes that merge the same entries keep the same.
    private mutating func dropOne() -> Entry {
        let index = entries.indices.min { entries[$0].age < entries[$1].age }!
        return entries.remove(at: index)
    }
}

extension MemberTable.Entry {
    /// What goes first is the least.
    fileprivate var age: (isMember: Int, generation: UInt64, name: String) {
        (isRemoved ? 0 : 1, generation, member.name)
    }

    fileprivate struct Rank: Comparable {
        var generation: UInt64
        var isRemoved: Int
        var text: String

        static func < (left: Rank, right: Rank) -> Bool {
            (left.generation, left.isRemoved, left.text) < (right.generation, right.isRemoved, right.text)
        }
    }

    fileprivate var rank: Rank {
        Rank(
            generation: generation,
            isRemoved: isRemoved ? 1 : 0,
            text: "\(member.address) \(member.region.rawValue)"
        )
    }
}

extension MemberTable {
    /// Entries of a table. Beyond that the nodes that left longest ago are forgotten.
    static let entriesMax = 4_096
    /// No entry takes fewer bytes.
    private static let entrySizeMin = 5
    /// Generations from outside are at most this, so that counting on from them never overflows.
    static let generationMax: UInt64 = 1 << 62

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 * entries.count)
        writer.write(UInt64(entries.count))
        for entry in entries {
            writer.write(text: entry.member.name)
            writer.write(text: entry.member.address.description)
            writer.write(entry.member.region)
            writer.write(entry.generation)
            writer.write(entry.isRemoved)
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        let count = try reader.readCount(of: Self.entrySizeMin, max: Self.entriesMax)
        for _ in 0..<count {
            let name = try reader.readText()
            guard let address = HostPort(try reader.readText()) else { throw .invalid("an address") }
            let region = try reader.readRegion()
            let generation = try reader.readUInt64()
            guard generation <= Self.generationMax else { throw .invalid("a generation out of range") }
            let isRemoved = try reader.readBool()
            let member = ClusterMember(name: name, address: address, region: region)
            set(Entry(member: member, generation: generation, isRemoved: isRemoved))
        }
        try reader.expectEnd()
    }
}
