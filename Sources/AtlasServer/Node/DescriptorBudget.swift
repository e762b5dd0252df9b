internal import AtlasRocksDB
internal import Glibc

/// How the process's file descriptors are shared out: the store and the log have theirs first, connections the rest. So clients
/// that fill what they may have take none from the disk.
struct DescriptorBudget {
    /// What the process may open (`ulimit -n`).
    var limit: Int
    private var eventLoops: Int

    /// Segments of the log, directories, the log of events, links to other nodes, and what RocksDB opens beside its tables.
    private static let others = 64
    /// A selector, a timer and a wake-up.
    private static let perEventLoop = 3

    init(eventLoops: Int, limit: Int = Self.softLimit) {
        self.eventLoops = eventLoops
        self.limit = limit
    }

    /// How many connections there are descriptors for; at least one.
    var connections: Int {
        let storage = RocksDBOptions().openFiles(ofLimit: limit)
        return max(limit - storage - Self.others - Self.perEventLoop * eventLoops, 1)
    }

    /// The limit as it is now: the program raises it before it starts a node.
    static var softLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        return Int(clamping: limit.rlim_cur)
    }
}
