internal import AtlasCore

// From the configuration to the settings and limits of the core.

extension ConsensusSettings {
    init(_ config: AtlasConfiguration) {
        self.init()
        let consensus = config.node.consensus
        heartbeatInterval = consensus.heartbeatInterval.wholeNanoseconds
        suspicionMin = consensus.electionTimeout.wholeNanoseconds
        // Support outlasts the suspicion that ends it, and not by much: what an owner left behind waits for its end.
        supportDuration = suspicionMin + suspicionMin / 4
        retransmitMin =
            min(consensus.prepareTimeout, consensus.acceptTimeout, consensus.commitTimeout)
            .wholeNanoseconds
        regionLatencyMax = config.node.regions.maxLatency.wholeNanoseconds
        fastPathEnabled = config.cluster.fastPathEnabled
    }
}

extension Limits {
    /// Commands that share an entry must not outgrow a segment of the log; one alone never does.
    init(segmentSize: Int) {
        self.init()
        entryBytesMax = min(entryBytesMax, segmentSize / 2)
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: UInt64 {
        wholeMilliseconds * ConsensusSettings.millisecond
    }
}
