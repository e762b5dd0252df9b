internal import AtlasTypes

/// What nodes tell each other while a cluster is formed, and now and then after that.
struct FormationNote: Hashable, Sendable {
    var hello: PeerHello
    /// What all nodes must have configured alike, as text.
    var settings: String
    /// The config of the first tablet, with the incarnations of all first members; empty while there is none.
    var firstConfig: [UInt8]
    var members: MemberTable
    /// Processes under the names of nodes that the sender has refused lately.
    var refused: [PeerProcess]

    /// More are not told, and not read.
    static let refusedMax = 64

    init(
        hello: PeerHello,
        settings: String,
        firstConfig: [UInt8],
        members: MemberTable,
        refused: [PeerProcess] = []
    ) {
        self.hello = hello
        self.settings = settings
        self.firstConfig = firstConfig
        self.members = members
        self.refused = refused
    }

    /// Whether the sender belongs to this cluster: what others say of their members is about other nodes.
    func comes(from clusterID: String) -> Bool {
        !clusterID.isEmpty && hello.clusterID == clusterID
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 512)
        writer.write(hello.encoded())
        writer.write(text: settings)
        writer.write(firstConfig)
        writer.write(members.encoded())
        let told = refused.prefix(Self.refusedMax)
        writer.write(UInt64(told.count))
        for process in told {
            writer.write(text: process.name)
            writer.write(fixed: process.incarnation)
            writer.write(fixed: process.life)
            writer.write(text: process.address?.description ?? "")
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        hello = try PeerHello(decoding: try reader.readBytes())
        settings = try reader.readText()
        firstConfig = try reader.readBytes()
        members = try MemberTable(decoding: try reader.readBytes())
        refused = []
        // Programs before this was added end here.
        guard reader.remaining > 0 else { return }
        let count = try reader.readCount()
        guard count <= Self.refusedMax else { throw .invalid("too many processes that were refused") }
        for _ in 0..<count {
            refused.append(
                PeerProcess(
                    name: try reader.readText(),
                    incarnation: try reader.readFixed(),
                    life: try reader.readFixed(),
                    address: HostPort(try reader.readText())
                )
            )
        }
    }
}
