internal import AtlasCore

/// What nodes tell each other while a cluster is formed, and now and then after that.
struct FormationNote: Hashable, Sendable {
    var hello: PeerHello
    /// What all nodes must have configured alike, as text.
    var settings: String
    /// The config of the first tablet, with the incarnations of all first members; empty while there is none.
    var firstConfig: [UInt8]
    var members: MemberTable

    init(hello: PeerHello, settings: String, firstConfig: [UInt8], members: MemberTable) {
        self.hello = hello
        self.settings = settings
        self.firstConfig = firstConfig
        self.members = members
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
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        hello = try PeerHello(decoding: try reader.readBytes())
        settings = try reader.readText()
        firstConfig = try reader.readBytes()
        members = try MemberTable(decoding: try reader.readBytes())
    }
}
