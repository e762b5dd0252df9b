internal import AtlasRocksDB
internal import Glibc
internal import AtlasNode

/// How the process's file descriptors are shared out: the store and the log have theirs first, connections the rest. So clients
/// that fill what they may have take none from the disk.
struct DescriptorBudget {
    /// What the process may open (`ulimit -n`).
    var limit: Int
    private var eventLoops: Int
    /// Of the cluster, this one included.
    private var nodes: Int

    /// Segments of the log, directories, the log of events, and what RocksDB opens beside its tables: what it writes in flushes and
    /// compactions, and its manifest. It cannot go on by itself after a flush that had no descriptor.
    private static let others = 64
    /// Links to another node, and one that asks it about the cluster.
    private static let perNode = PeerLink.Lane.allCases.count + 1
    /// A selector, a timer and a wake-up.
    private static let perEventLoop = 3

    init(eventLoops: Int, nodes: Int = 1, limit: Int = Self.softLimit) {
        self.eventLoops = eventLoops
        self.nodes = nodes
        self.limit = limit
    }

    /// How many connections there are descriptors for; at least one.
    var connections: Int {
        let storage = RocksDBOptions().openFiles(ofLimit: limit)
        let links = Self.perNode * (nodes - 1)
        return max(limit - storage - Self.others - Self.perEventLoop * eventLoops - links, 1)
    }

    /// The limit as it is now: the program raises it before it starts a node.
    static var softLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        return Int(clamping: limit.rlim_cur)
    }
}
