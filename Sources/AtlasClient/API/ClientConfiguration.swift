extension AtlasClient {
    /// How a client behaves. Every value has a default that suits most programs.
    public struct Configuration: Hashable, Sendable {
        /// How long a call may take with all its retries, unless its options say otherwise.
        public var timeout = Duration.seconds(10)
        /// How long `connect` may take, and every later attempt to connect to one endpoint.
        public var connectTimeout = Duration.seconds(5)
        /// How calls are repeated that failed without fault of the caller.
        public var retry = RetryPolicy()
        /// Whether a read sees at least what this client has written or read before, whichever node answers: the highest
        /// version seen goes along as `minVersion`. If the cluster has lost that version (a node without `sync_writes`
        /// crashed, or an older backup was restored), one read fails with `versionInFuture`, and the client begins anew.
        public var readsSeenWrites = true
        /// Whether the nearest of several endpoints is used: the round trips are measured at first, and every
        /// `measurementInterval`. Differences of no account leave the choice to the order of the list. Without, it is the
        /// first of the list that answers.
        public var prefersNearest = true
        /// How often the round trips to the endpoints are measured.
        public var measurementInterval = Duration.seconds(30)
        /// Whether a node that is named as the owner is asked even if it is no endpoint. Only right where the addresses
        /// in the configuration of the nodes are good for clients too.
        public var dialsOwners = false
        /// Connections, each with its session; calls are spread over them. One is enough unless the client itself is
        /// the bottleneck.
        public var connections = 1
        /// Calls under way on one connection; more wait in the client.
        public var callsInProgressMax = 2_048
        /// The largest call that is sent, in bytes: what the server takes (`transport.max_recv_msg_size`, and any request
        /// within its `limits`; the default is right for theirs).
        public var sendMessageBytesMax = 4 << 20 + 64 << 10
        /// The largest answer that is taken, in bytes.
        public var receiveMessageBytesMax = 64 << 20
        /// Whether calls share one stream. Without, each is a gRPC call of its own, which costs several times more.
        public var usesSession = true

        /// The defaults.
        public init() {}
    }

    /// How calls are repeated that failed without fault of the caller: the node was unavailable or overloaded, or the
    /// connection was lost. A repeated write has the request id of the first attempt, and takes effect once. The wait
    /// before the next attempt doubles each time, is drawn at random between half of that and all of it, and is no
    /// shorter than what the server asks for. The call's timeout bounds everything.
    public struct RetryPolicy: Hashable, Sendable {
        /// Attempts in all, the first included; 1: none is repeated. `nil`: until the timeout.
        public var attemptsMax: Int?
        /// The wait after the first failure.
        public var backoffMin = Duration.milliseconds(10)
        /// The longest wait.
        public var backoffMax = Duration.seconds(1)

        /// The defaults.
        public init() {}
    }
}
