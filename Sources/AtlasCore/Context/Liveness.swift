package import AtlasTypes

/// What a node knows of the others: who is alive, how far away they are, whom it supports and who supports it.
///
/// Support is between nodes, in numbered epochs (consensus.md section 6): one that gives it promises to help nobody else
/// to the tablets for which it acknowledged a ballot of the supported node in that epoch, for as long as it lasts.
package struct Liveness: Sendable {
    package let node: NodeID
    package let incarnation: UInt64
    package let region: RegionID
    /// The life of this node: ascends with each start, so that neither side takes what belongs to an earlier life for a
    /// part of this one.
    package let session: UInt64
    package let settings: ConsensusSettings
    /// The other nodes, sorted.
    package internal(set) var others: [OtherNode] = []
    /// Until then this node may have given support that it does not remember.
    package internal(set) var graceUntil: UInt64 = 0
    /// Round trips between regions, as far as anybody has measured them.
    package internal(set) var distances = RegionDistances()
    var nextHeartbeat: UInt64 = 0
    /// Of confirmations.
    var nextRound: UInt64 = 1

    init(node: NodeID, incarnation: UInt64, region: RegionID, session: UInt64, settings: ConsensusSettings) {
        self.node = node
        self.incarnation = incarnation
        self.region = region
        self.session = session
        self.settings = settings
    }

    mutating func insert(_ node: NodeID, region: RegionID) {
        guard node != self.node else { return }
        let index = others.lowerBound { $0.node < node }
        if index < others.endIndex, others[index].node == node { return }
        others.insert(OtherNode(node: node, region: region), at: index)
    }

    mutating func remove(_ node: NodeID) {
        others.removeAll { $0.node == node }
    }

    func index(of node: NodeID) -> Int? {
        let index = others.lowerBound { $0.node < node }
        return index < others.count && others[index].node == node ? index : nil
    }

    package subscript(node: NodeID) -> OtherNode? {
        index(of: node).map { others[$0] }
    }
}

/// One of the other nodes, as seen from here.
package struct OtherNode: Sendable {
    package let node: NodeID
    package let region: RegionID
    /// As it was heard last; 0 before that.
    package internal(set) var incarnation: UInt64 = 0
    package internal(set) var session: UInt64 = 0
    /// Which of its requests have come.
    var requests = SequenceWindow()
    /// Monotonic nanoseconds; `nil` if never.
    package internal(set) var lastHeard: UInt64?
    /// When this node sent the latest heartbeat that the other has answered; monotonic nanoseconds. Messages that arrive
    /// say nothing of the way back.
    var lastAnswered: UInt64 = 0
    /// Silent, or deaf to what this node sends.
    package internal(set) var isSuspected = false
    package internal(set) var roundTrip = RoundTrip()

    /// Support given.
    var grant: Grant?
    /// Support received.
    var supportEpoch: UInt64 = 0
    var supportUntil: UInt64 = 0
    /// The clock in the latest reply of `supportEpoch`.
    var repliedClock = Timestamp.zero
    /// It ends, and takes no tablets.
    var isLeaving = false
    /// The link to it has ended, and it has said nothing since: what is sent to it is lost.
    var isUnlinked = false
    /// Its wall clock, by this node's monotonic one; `nil` until it says.
    var clockEpoch: WallClockGuard.Epoch?
    var readings = ClockReadings()
    /// Some tablet's ballot may have to be acknowledged in the present epoch.
    var needsConfirmation = false

    var nextSequence: UInt64 = 1
    /// The heartbeats whose replies are still good for something.
    var sent: [(sequence: UInt64, at: UInt64)] = []
    var idleSender = IdleListSender()
    var idleReceiver = IdleListReceiver()

    init(node: NodeID, region: RegionID) {
        self.node = node
        self.region = region
    }

    /// Support in an epoch.
    struct Grant: Sendable {
        let epoch: UInt64
        /// Until when it runs; monotonic nanoseconds.
        var until: UInt64
        /// Of the node it was given to. That one may still live and count on it; another one under its name does not prolong it.
        let incarnation: UInt64
    }
}

/// A smoothed round trip with its variation, in nanoseconds (RFC 6298, section 2).
package struct RoundTrip: Hashable, Sendable {
    package private(set) var smoothed: UInt64?
    package private(set) var variation: UInt64 = 0

    mutating func add(_ sample: UInt64) {
        guard let smoothed else {
            self.smoothed = sample
            variation = sample / 2
            return
        }
        let difference = smoothed > sample ? smoothed - sample : sample - smoothed
        variation = variation - variation / 4 + difference / 4
        self.smoothed = smoothed - smoothed / 8 + sample / 8
    }

    /// After this time an answer is overdue.
    package var timeout: UInt64 {
        (smoothed ?? 0) + 4 * variation
    }
}

// MARK: - Who is alive

extension Liveness {
    /// Whether a message comes from the node that goes by its sender's name now, rather than from one that lost its disk
    /// and whose last messages come late.
    ///
    /// Of two, the one with the later session lives. Where a clock went back together with the loss of a disk, that may be
    /// the wrong one: then the other is taken once the present one has been silent, and this node supports it no more.
    /// - Parameter session: of the sender, if the message names it.
    func isPresent(_ index: Int, incarnation: UInt64, session: UInt64?, now: UInt64) -> Bool {
        let other = others[index]
        if other.incarnation == incarnation || other.incarnation == 0 { return true }
        if let session, session > other.session { return true }
        return other.isSuspected && runningEpoch(for: other.node, now: now) == 0
    }

    /// Takes note of a message of the present node under its name. A node that lost its disk is another one. One that is
    /// suspected stays so until it answers a heartbeat: only then the link is known to work both ways.
    ///
    /// What is left of the support of the one before it is kept: should it be that one that lives, it counts on it.
    mutating func hear(_ index: Int, incarnation: UInt64, now: UInt64) {
        if others[index].incarnation == 0 { others[index].incarnation = incarnation }
        if others[index].incarnation != incarnation {
            var fresh = OtherNode(node: others[index].node, region: others[index].region)
            fresh.incarnation = incarnation
            fresh.roundTrip = others[index].roundTrip
            fresh.isSuspected = others[index].isSuspected
            fresh.nextSequence = others[index].nextSequence
            fresh.grant = others[index].grant
            fresh.idleSender = others[index].idleSender
            fresh.sent = others[index].sent
            fresh.lastAnswered = now
            others[index] = fresh
        }
        if others[index].lastHeard == nil { others[index].lastAnswered = now }
        if others[index].isSuspected, isSilent(index, now: now) {
            // It is back: whether it hears this node is found out soon, and not in a heartbeat interval.
            nextHeartbeat = min(nextHeartbeat, now + settings.retransmitMin / 4)
        }
        others[index].lastHeard = now
        others[index].isUnlinked = false
    }

    mutating func noteLinkLost(_ node: NodeID) {
        if let index = index(of: node) { others[index].isUnlinked = true }
    }

    /// Takes note of the answer to a heartbeat.
    /// - Parameter sentAt: when this node sent the heartbeat; monotonic nanoseconds.
    /// - Returns: whether the node had been suspected.
    mutating func noteAnswer(_ index: Int, sentAt: UInt64) -> Bool {
        others[index].lastAnswered = max(others[index].lastAnswered, sentAt)
        defer { others[index].isSuspected = false }
        return others[index].isSuspected
    }

    /// Until when a node that is not heard, or hears nothing, is taken for alive; monotonic nanoseconds.
    ///
    /// A lost answer weighs less than silence, since everything that arrives breaks silence.
    func trustedUntil(_ index: Int) -> UInt64 {
        let timeout = suspicionTimeout(index)
        return min((others[index].lastHeard ?? .max - timeout) + timeout, others[index].lastAnswered + 2 * timeout)
    }

    private func isSilent(_ index: Int, now: UInt64) -> Bool {
        others[index].lastHeard.map { $0 + suspicionTimeout(index) <= now } ?? true
    }

    /// Takes note of the session that a message names.
    /// - Returns: whether it is the present one; `nil` if it has just begun, and the node remembers nothing of before.
    mutating func meet(_ index: Int, session: UInt64) -> Bool? {
        guard session != others[index].session else { return true }
        guard session > others[index].session else { return false }
        // The support of an incarnation whose session is not known may be that of another one (see `hear`).
        if others[index].session != 0 { others[index].grant = nil }
        others[index].session = session
        others[index].isLeaving = false
        others[index].clockEpoch = nil
        others[index].idleReceiver = IdleListReceiver()
        others[index].requests = SequenceWindow()
        return nil
    }

    func suspicionTimeout(_ index: Int) -> UInt64 {
        let measured = 2 * settings.heartbeatInterval + others[index].roundTrip.timeout
        return min(max(settings.suspicionMin, measured), 4 * settings.suspicionMin)
    }

    func isSuspected(_ node: NodeID) -> Bool {
        guard node != self.node else { return false }
        return index(of: node).map { others[$0].isSuspected } ?? true
    }

    /// Whether a voter may be expected to answer: not silent, and not another that has taken its name.
    package func isReachable(_ voter: Voter) -> Bool {
        guard voter.node != node else { return true }
        guard let index = index(of: voter.node), !others[index].isSuspected else { return false }
        return others[index].incarnation == voter.incarnation || others[index].incarnation == 0
    }

    /// Whether a voter may be given a tablet: it would keep it.
    package func canOwn(_ voter: Voter) -> Bool {
        isReachable(voter) && self[voter.node]?.isLeaving != true
    }

    /// After what time a message to a node is sent again.
    func retransmitTimeout(_ node: NodeID) -> UInt64 {
        let measured = 2 * (index(of: node).map { others[$0].roundTrip.timeout } ?? 0)
        // A link that was stuck for a while must not teach a patience that outlives it.
        return min(max(settings.retransmitMin, measured), 10 * settings.retransmitMin)
    }

    /// The nodes that have been silent for too long.
    package var missing: [NodeID] {
        others.filter(\.isSuspected).map(\.node)
    }

    /// Why something that changed nothing was not served in time.
    var lateness: Refusal {
        missing.isEmpty ? .deadlineExceeded : .unavailable(missing: missing)
    }

    func roundTrip(to node: NodeID) -> UInt64? {
        node == self.node ? 0 : index(of: node).flatMap { others[$0].roundTrip.smoothed }
    }
}

// MARK: - Support

extension Liveness {
    /// The epoch in which this node supports another one now; 0 if it does not.
    func runningEpoch(for owner: NodeID, now: UInt64) -> UInt64 {
        guard let index = index(of: owner), let grant = others[index].grant, grant.until > now else { return 0 }
        return grant.epoch
    }

    /// How long the support that a ballot was acknowledged under still runs, in nanoseconds; `nil` if it does not.
    func protection(of owner: NodeID, acknowledgedIn epoch: UInt64, now: UInt64) -> UInt64? {
        guard epoch != 0, let index = index(of: owner), let grant = others[index].grant, grant.epoch == epoch,
            grant.until > now
        else { return nil }
        return grant.until - now
    }

    /// Whether a voter's support in `epoch` may be counted, and until when by this node's clock.
    func support(from voter: Voter, acknowledgedIn epoch: UInt64) -> UInt64? {
        if voter.node == node { return .max }
        guard let index = index(of: voter.node), others[index].incarnation == voter.incarnation else { return nil }
        guard epoch != 0, others[index].supportEpoch == epoch || mutated(.earlierEpochCounts) else { return nil }
        return others[index].supportUntil
    }

    /// The clock with which a voter last replied in the epoch in which it acknowledged a ballot.
    func repliedClock(of voter: Voter, acknowledgedIn epoch: UInt64) -> Timestamp? {
        guard let index = index(of: voter.node), others[index].incarnation == voter.incarnation, epoch != 0,
            others[index].supportEpoch == epoch
        else { return nil }
        return others[index].repliedClock
    }
}

extension Liveness {
    /// An acknowledgement that names another epoch than the present one has to be made again.
    mutating func noteAcknowledgement(of node: NodeID, epoch: UInt64) {
        guard let index = index(of: node), others[index].supportEpoch != epoch else { return }
        others[index].needsConfirmation = true
    }
}
