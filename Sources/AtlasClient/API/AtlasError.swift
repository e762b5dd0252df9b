/// Why something failed: a code for programs, a message for people that says what, where and what to do, and what is
/// known besides.
///
/// ```swift
/// do {
///     try await db.put("counter", next, if: .version(seen.version))
/// } catch let error where error.code == .conditionFailed {
///     print("somebody else wrote version", error.currentVersion)
/// }
/// ```
public struct AtlasError: Error, Sendable {
    /// What happened.
    public var code: Code { storage.code }
    /// What failed, where, and what to do.
    public var message: String { storage.message }
    /// What is known besides.
    public var context: Context { storage.context }

    /// One reference, so that results which may be errors stay small.
    private final class Storage: Sendable {
        let code: Code
        let message: String
        let context: Context

        init(_ code: Code, _ message: String, _ context: Context) {
            self.code = code
            self.message = message
            self.context = context
        }
    }

    private let storage: Storage

    /// - Parameters:
    ///   - code: what happened.
    ///   - message: what failed, where, and what to do.
    ///   - context: what is known besides.
    public init(_ code: Code, _ message: String, context: Context = Context()) {
        storage = Storage(code, message, context)
    }
}

extension AtlasError {
    /// What is known about an error besides its code. Each part is there where it applies.
    public struct Context: Hashable, Sendable {
        /// Of a failed condition: the version that the key has, 0 if it is absent.
        public var currentVersion: Version?
        /// Of a failed condition: what the key holds, if it was asked for and if it exists.
        public var previous: Entry?
        /// In a batch: the index (from 0) of the operation whose condition failed.
        public var failedIndex: Int?
        /// The tablet that the error is about.
        public var tablet: UInt64?
        /// The presumed owner of the tablet: its configured id.
        public var ownerNode: String?
        /// The presumed owner of the tablet: `host:port`.
        public var ownerAddress: String?
        /// The regions that a quorum lacks.
        public var missingRegions: [Int] = []
        /// The nodes (configured ids) that a quorum lacks.
        public var missingNodes: [String] = []
        /// How long to wait at least before a retry.
        public var retryAfter: Duration?
        /// The limit that was passed.
        public var limit: Limit?
        /// The oldest version that can be read.
        public var oldestVersion: Version?
        /// The newest version that can be read.
        public var newestVersion: Version?
        /// The write may have taken effect, or may still do so.
        public var outcomeUnknown = false
        /// The node that was asked: `host:port`.
        public var endpoint: String?
        /// Of a database that cannot be opened: why, where a program may act on it.
        public var openFailure: OpenFailure?

        /// Nothing.
        public init() {}
    }

    /// A limit, and what passed it.
    public struct Limit: Hashable, Sendable {
        /// Its name in the configuration or the documentation.
        public var name: String
        /// What the request had.
        public var actual: UInt64
        /// What is allowed.
        public var allowed: UInt64

        /// A limit, and what passed it.
        public init(name: String, actual: UInt64, allowed: UInt64) {
            self.name = name
            self.actual = actual
            self.allowed = allowed
        }
    }

    /// Why a database cannot be opened. More may be added: compare with `==`.
    public struct OpenFailure: Hashable, Sendable, CustomStringConvertible {
        /// The name.
        public let description: String

        private init(_ description: String) {
            self.description = description
        }

        /// The directory is open already, in this process or another.
        public static let directoryInUse = Self("directory_in_use")
        /// The directory, or something in it, cannot be made, opened, read or written.
        public static let directoryUnusable = Self("directory_unusable")
        /// The directory belongs to a node of a cluster.
        public static let otherNode = Self("other_node")
        /// A part of the directory is gone: restore it, or begin with another directory.
        public static let missingPart = Self("missing_part")
        /// The parts of the directory are not from the same database: restore it as a whole.
        public static let mixedParts = Self("mixed_parts")
        /// Stored data is damaged.
        public static let damaged = Self("damaged")
        /// A newer version of the library has written the data.
        public static let newerFormat = Self("newer_format")
        /// There is no space on the disk.
        public static let diskFull = Self("disk_full")
    }

    /// Of a failed condition: the version that the key has, 0 if it is absent.
    public var currentVersion: Version { context.currentVersion ?? 0 }

    /// Whether the write may have taken effect, or may still do so. The same write with the same ``RequestID`` settles
    /// it.
    public var outcomeUnknown: Bool { context.outcomeUnknown }

    /// Whether the same call may succeed later without any change to it. Clients have retried such a call until its
    /// deadline already.
    public var isRetryable: Bool { code.isRetryable }
}

extension AtlasError: CustomStringConvertible {
    public var description: String {
        "\(code): \(message)"
    }
}

// MARK: - Codes

extension AtlasError {
    /// What happened. More codes may be added: compare with `==`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name, as it is in the documentation.
        public let description: String
        /// Whether the same call may succeed later.
        public let isRetryable: Bool

        init(_ description: String, isRetryable: Bool = false) {
            self.description = description
            self.isRetryable = isRetryable
        }

        public static func == (left: Code, right: Code) -> Bool {
            left.description == right.description
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(description)
        }
    }
}

extension AtlasError.Code {
    /// The condition of a write does not hold; nothing has changed. See ``AtlasError/Context/currentVersion``.
    public static let conditionFailed = Self("condition_failed")

    // Something about the call is wrong; the message says what.

    /// An argument that cannot be served.
    public static let invalidArgument = Self("invalid_argument")
    /// A key has at least one byte.
    public static let keyEmpty = Self("key_empty")
    /// The key is larger than `limits.max_key_size`.
    public static let keyTooLarge = Self("key_too_large")
    /// The value is larger than `limits.max_value_size`.
    public static let valueTooLarge = Self("value_too_large")
    /// More operations or more bytes than a batch may have.
    public static let batchTooLarge = Self("batch_too_large")
    /// The end of a range is not above its start.
    public static let rangeEmpty = Self("range_empty")
    /// The request id is older than the time for which retries are recognised, or from the future.
    public static let requestIDExpired = Self("request_id_expired")
    /// The call, or its answer, does not fit in a message.
    public static let messageTooLarge = Self("message_too_large")

    // The state of a node, or of the history, does not allow the call.

    /// The version is older than what is retained. See ``AtlasError/Context/oldestVersion``.
    public static let versionNotRetained = Self("version_not_retained")
    /// The version lies ahead of what the node has. See ``AtlasError/Context/newestVersion``.
    public static let versionInFuture = Self("version_in_future")
    /// The node belongs to another cluster.
    public static let wrongCluster = Self("wrong_cluster")
    /// The node is in a state that does not allow the call.
    public static let wrongNodeState = Self("wrong_node_state")

    // Unavailable: the same call may succeed later.

    /// The quorum of a tablet cannot be reached. See ``AtlasError/Context/missingRegions``.
    public static let noQuorum = Self("no_quorum", isRetryable: true)
    /// The tablet has no owner at the moment.
    public static let noOwner = Self("no_owner", isRetryable: true)
    /// The node is starting.
    public static let starting = Self("starting", isRetryable: true)
    /// The node is shutting down.
    public static let shuttingDown = Self("shutting_down", isRetryable: true)
    /// No connection, or it was lost.
    public static let connection = Self("connection", isRetryable: true)
    /// Unavailable for another reason.
    public static let unavailable = Self("unavailable", isRetryable: true)
    /// The node has too much to do.
    public static let overloaded = Self("overloaded", isRetryable: true)
    /// The node's disk is full; reads and deletes go on.
    public static let diskFull = Self("disk_full", isRetryable: true)
    /// Too many calls, streams or connections.
    public static let tooManyCalls = Self("too_many_calls", isRetryable: true)

    // The caller's side.

    /// The call took longer than its timeout.
    public static let deadlineExceeded = Self("deadline_exceeded")
    /// The task was cancelled.
    public static let cancelled = Self("cancelled")
    /// The client or the database has been closed by the application.
    public static let closed = Self("closed")
    /// A database cannot be opened: the message says why. See ``AtlasError/Context/openFailure``.
    public static let cannotOpen = Self("cannot_open")

    /// The server does not know who calls.
    public static let unauthenticated = Self("unauthenticated")
    /// The server knows who calls, and refuses.
    public static let permissionDenied = Self("permission_denied")
    /// The server does not have this call.
    public static let unimplemented = Self("unimplemented")
    /// Stored data is damaged, or the node has stopped because its disk failed.
    public static let dataLoss = Self("data_loss")
    /// A fault of the server or of this client.
    public static let `internal` = Self("internal")
}
