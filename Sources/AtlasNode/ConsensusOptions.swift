internal import AtlasCore
internal import AtlasTypes
package import AtlasConfiguration

// From the configuration to the settings and limits of the core.

extension ConsensusSettings {
    package init(_ config: AtlasConfiguration) {
        self.init()
        let consensus = config.node.consensus
        heartbeatInterval = consensus.heartbeatInterval.nanoseconds
        suspicionMin = consensus.electionTimeout.nanoseconds
        // Support outlasts the suspicion that ends it, and not by much: what an owner left behind waits for its end.
        supportDuration = suspicionMin + suspicionMin / 4
        retransmitMin =
            min(consensus.prepareTimeout, consensus.acceptTimeout, consensus.commitTimeout)
            .nanoseconds
        regionLatencyMax = config.node.regions.maxLatency.nanoseconds
        stateCheckInterval = config.node.regions.syncEnabled ? config.node.regions.syncInterval.nanoseconds : 0
        proposalRetriesMax = consensus.maxProposalRetries
        stealPolicy = config.node.regions.ownershipPolicy
        fastPathEnabled = config.cluster.fastPathEnabled
        retryWindow = config.cluster.retention.historyTTL.milliseconds
    }
}

extension Limits {
    package init(_ config: AtlasConfiguration) {
        self.init()
        let storage = config.node.storage
        operationsTogetherMax = config.cluster.limits.operationsTogetherMax
        // Commands that share an entry must not outgrow a segment of the log; one alone never does.
        entryBytesMax = min(entryBytesMax, storage.logSegmentSize / 2)
        retainedBytesMax = storage.logRetainSize
    }
}

extension AtlasConfiguration {
    /// Bytes of values that a read may return, unless it is a single value: no more than a node can send. A node that is
    /// alone may be embedded, and sends nothing.
    var answerBytesMax: Int {
        cluster.nodes.count > 1 ? min(node.transport.maxSendMsgSize, Limits.answerBytesMax) : Limits.answerBytesMax
    }
}
