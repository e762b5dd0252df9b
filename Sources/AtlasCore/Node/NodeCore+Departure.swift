internal import AtlasTypes

/// What becomes of an epoch whose seal this node has not seen, once others have gone on without it (consensus.md section 9).
extension NodeCore {
    /// Whether what follows an epoch is here as a whole. A part alone must not take its place: what this node has accepted
    /// may be needed to find the seal, and the other part with it.
    func isFollowed(_ config: TabletConfig) -> Bool {
        config.range.isCovered(by: followers(of: config).map(\.range))
    }

    func followers(of config: TabletConfig) -> [TabletConfig] {
        let here = tablets.map(\.config) + fetches.filter(\.isComplete).compactMap { $0.body?.config }
        // That an epoch was sealed says that a quorum held its state.
        let elsewhere = directory.configs.filter { $0.epoch > config.epoch + 1 }
        return (here + elsewhere).filter { $0.follows(config) }
    }

    /// Leaves the epochs where quorums hold all that follows them and this node is a voter of none of it: no snapshot of a
    /// later epoch would ever come here to take their place.
    /// - Parameters:
    ///   - configs: what this node has just heard of.
    ///   - areEstablished: whether quorums are known to hold these; of those that came before them they are.
    mutating func leaveFollowed(by configs: [TabletConfig], areEstablished: Bool) {
        for tablet in tablets where tablet.mayBeReplaced {
            let later = configs.filter { $0.follows(tablet.config) }
            guard !later.isEmpty else { continue }
            let all = followers(of: tablet.config) + (areEstablished ? later : [])
            let last = all.filter { one in !one.range.isCovered(by: all.filter { $0.epoch > one.epoch }.map(\.range)) }
            let isVoter = (last + later).contains { $0.voterIndex(of: node, incarnation: incarnation) != nil }
            if !isVoter, tablet.config.range.isCovered(by: last.map(\.range)) {
                context.mark(.voterLeft)
                supersede(tablet.config.tablet, by: last)
            } else if !areEstablished {
                for config in later where config.epoch == tablet.config.epoch + 1 && !needsState(of: config) {
                    inquire(after: config, epoch: config.epoch)
                }
            }
        }
    }

    /// A later epoch has taken the place of this one, whose seal this node has not seen.
    mutating func supersede(_ tablet: TabletID, by configs: [TabletConfig]) {
        guard let index = index(of: tablet) else { return }
        context.mark(.superseded)
        var old = remove(at: index)
        old.retire(context: &context)
        old.ownership = nil
        retire(old, successors: configs, established: configs.map { $0.epoch > old.config.epoch + 1 })
    }

    /// Asks the voters of a config how it is: they refuse the question with what they know.
    /// - Parameter epoch: 0 to hear what has followed, since no epoch is as old as that; the config's own to hear whether a
    ///   quorum holds it.
    mutating func inquire(after config: TabletConfig, epoch: UInt64) {
        let envelope = Envelope(tablet: config.tablet, epoch: epoch, message: .probe(ballot: .zero))
        for voter in config.voters where voter.node != node && !context.liveness.isSuspected(voter.node) {
            context.send(.tablet(envelope), to: voter.node)
        }
    }

    /// Asks what has followed a tablet of which this node has long heard nothing from a living owner: the voters may have
    /// gone on without this node while it was away. One tablet with each heartbeat.
    mutating func inquireAfterStalled() {
        guard !tablets.isEmpty else { return }
        stalledPlace = (stalledPlace + 1) % tablets.count
        let patience = 20 * context.settings.suspicionMin / ConsensusSettings.millisecond
        guard tablets[stalledPlace].ownership == nil,
            tablets[stalledPlace].closed.milliseconds + patience < context.clock.last.milliseconds
        else { return }
        inquire(after: tablets[stalledPlace].config, epoch: 0)
    }
}
