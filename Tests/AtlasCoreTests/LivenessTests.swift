import Testing

@testable import AtlasCore
import AtlasTypes

/// Who is alive, and whose support counts.
struct LivenessTests {
    private let region = RegionID(rawValue: 1)

    private func liveness() -> Liveness {
        var liveness = Liveness(
            node: nodeID(2),
            incarnation: 7,
            region: region,
            session: 1,
            settings: ConsensusSettings()
        )
        for node in [3, 1, 2, 3] as [UInt64] { liveness.insert(nodeID(node), region: region) }
        return liveness
    }

    /// RFC 6298, section 2, with a gain of 1/8 and 1/4.
    @Test func roundTripsAreSmoothed() {
        var roundTrip = RoundTrip()
        #expect(roundTrip.smoothed == nil && roundTrip.timeout == 0)
        roundTrip.add(80)
        #expect(roundTrip.smoothed == 80 && roundTrip.variation == 40 && roundTrip.timeout == 240)
        roundTrip.add(160)
        #expect(roundTrip.smoothed == 90 && roundTrip.variation == 50)
        roundTrip.add(0)
        #expect(roundTrip.smoothed == 79 && roundTrip.variation == 60, "\(roundTrip)")
        for _ in 0..<200 { roundTrip.add(1_000) }
        #expect((990...1_000).contains(roundTrip.smoothed!) && roundTrip.variation < 10, "\(roundTrip)")
        // However long it was: a paused node must not make the arithmetic trap.
        for _ in 0..<50 { roundTrip.add(.max / 16) }
        #expect(roundTrip.timeout > .max / 32)
    }

    @Test func othersAreSortedAndOnceEach() {
        let liveness = liveness()
        #expect(liveness.others.map(\.node) == [nodeID(1), nodeID(3)])
        #expect(liveness[nodeID(3)]?.node == nodeID(3) && liveness[nodeID(2)] == nil && liveness[nodeID(9)] == nil)
        #expect(!liveness.isSuspected(nodeID(2)) && liveness.isSuspected(nodeID(9)), "nobody is heard who is unknown")
        #expect(liveness.roundTrip(to: nodeID(2)) == 0 && liveness.roundTrip(to: nodeID(1)) == nil)
    }

    @Test func distanceMakesPatient() {
        var liveness = liveness()
        let settings = ConsensusSettings()
        #expect(liveness.suspicionTimeout(0) == settings.suspicionMin)
        #expect(liveness.retransmitTimeout(nodeID(1)) == settings.retransmitMin)
        for _ in 0..<40 { liveness.others[0].roundTrip.add(400_000_000) }
        #expect(liveness.suspicionTimeout(0) == settings.suspicionMin)
        #expect((800_000_000...900_000_000).contains(liveness.retransmitTimeout(nodeID(1))))
        for _ in 0..<9 { liveness.others[0].roundTrip.add(3_000_000_000) }
        #expect(liveness.suspicionTimeout(0) > settings.suspicionMin + 1_000_000_000)
        #expect(liveness.retransmitTimeout(nodeID(1)) == 10 * settings.retransmitMin, "but not without end")
        #expect(liveness.retransmitTimeout(nodeID(3)) == settings.retransmitMin)
    }

    /// A message says nothing of the way back; the answer to a heartbeat does.
    @Test func aSuspectedNodeIsTrustedOnceItAnswers() {
        var liveness = liveness()
        liveness.others[0].isSuspected = true
        liveness.hear(0, incarnation: 7, now: 5)
        #expect(liveness.missing == [nodeID(1)] && liveness.others[0].lastHeard == 5)
        let wasSuspected = [liveness.noteAnswer(0, sentAt: 6), liveness.noteAnswer(0, sentAt: 7)]
        #expect(wasSuspected == [true, false] && liveness.missing.isEmpty)
    }

    @Test func silenceWeighsMoreThanMissingAnswers() {
        var liveness = liveness()
        let patience = ConsensusSettings().suspicionMin
        liveness.hear(0, incarnation: 7, now: 5)
        #expect(liveness.trustedUntil(0) == 5 + patience)
        liveness.hear(0, incarnation: 7, now: 5 + patience - 1)
        #expect(liveness.trustedUntil(0) == 5 + 2 * patience - 1)
        liveness.hear(0, incarnation: 7, now: 5 + 2 * patience - 1)
        #expect(liveness.trustedUntil(0) == 5 + 2 * patience, "it answers nothing")
        _ = liveness.noteAnswer(0, sentAt: 100)
        #expect(liveness.trustedUntil(0) == 100 + 2 * patience)
    }

    /// A node that is back is asked soon whether it hears this one.
    @Test func aNodeThatReturnsIsAskedAtOnce() {
        var liveness = liveness()
        let settings = ConsensusSettings()
        liveness.hear(0, incarnation: 7, now: 5)
        liveness.others[0].isSuspected = true
        let now = 5 + settings.suspicionMin
        liveness.nextHeartbeat = now + settings.heartbeatInterval
        liveness.hear(0, incarnation: 7, now: now)
        #expect(liveness.nextHeartbeat == now + settings.retransmitMin / 4)
        liveness.nextHeartbeat = now + settings.heartbeatInterval
        liveness.hear(0, incarnation: 7, now: now + 1)
        #expect(liveness.nextHeartbeat == now + settings.heartbeatInterval, "once")
        // Another disk under the name has never been heard before.
        liveness.hear(0, incarnation: 8, now: now + 2)
        #expect(liveness.nextHeartbeat == now + 2 + settings.retransmitMin / 4)
    }

    @Test func anotherIncarnationHasGivenNothing() {
        var liveness = liveness()
        liveness.hear(0, incarnation: 7, now: 5)
        liveness.others[0].supportEpoch = 4
        liveness.others[0].supportUntil = 100
        liveness.others[0].grant = .init(epoch: 9, until: 100, incarnation: 7)
        liveness.others[0].nextSequence = 12
        let voter = Voter(node: nodeID(1), incarnation: 7, region: region)
        #expect(liveness.support(from: voter, acknowledgedIn: 4) == 100)
        #expect(liveness.support(from: voter, acknowledgedIn: 3) == nil, "an earlier epoch")
        #expect(liveness.support(from: voter, acknowledgedIn: 0) == nil, "none")
        #expect(liveness.protection(of: nodeID(1), acknowledgedIn: 9, now: 60) == 40)
        #expect(liveness.protection(of: nodeID(1), acknowledgedIn: 8, now: 60) == nil)
        #expect(liveness.protection(of: nodeID(1), acknowledgedIn: 9, now: 100) == nil)
        #expect(liveness.runningEpoch(for: nodeID(1), now: 99) == 9)
        #expect(liveness.runningEpoch(for: nodeID(1), now: 100) == 0)

        liveness.hear(0, incarnation: 8, now: 6)
        #expect(liveness.support(from: voter, acknowledgedIn: 4) == nil)
        #expect(liveness.runningEpoch(for: nodeID(1), now: 60) == 9, "what was given stays given")
        #expect(liveness.others[0].nextSequence == 12, "replies to earlier heartbeats must not be taken for later ones")
        let own = Voter(node: nodeID(2), incarnation: 7, region: region)
        #expect(liveness.support(from: own, acknowledgedIn: 0) == .max)
    }

    @Test func theLaterSessionIsThePresentOne() {
        var liveness = liveness()
        #expect(liveness.isPresent(0, incarnation: 7, session: nil, now: 5), "nobody has been heard before")
        liveness.hear(0, incarnation: 7, now: 5)
        _ = liveness.meet(0, session: 50)
        liveness.others[0].grant = .init(epoch: 9, until: 100, incarnation: 7)
        #expect(!liveness.isPresent(0, incarnation: 8, session: nil, now: 6))
        #expect(!liveness.isPresent(0, incarnation: 8, session: 50, now: 6))
        #expect(liveness.isPresent(0, incarnation: 8, session: 51, now: 6))
        #expect(liveness.isPresent(0, incarnation: 7, session: 49, now: 6), "which session it is `meet` decides")

        liveness.others[0].isSuspected = true
        #expect(!liveness.isPresent(0, incarnation: 8, session: nil, now: 99), "it counts on this node's support")
        #expect(liveness.isPresent(0, incarnation: 8, session: nil, now: 100))
        #expect(liveness.isPresent(0, incarnation: 8, session: 49, now: 100))
    }

    /// The next life of a node knows nothing of the support that was given to the one before it; another incarnation may
    /// be an earlier one.
    @Test func supportIsTakenBackFromAFormerLifeAlone() {
        var liveness = liveness()
        liveness.hear(0, incarnation: 7, now: 5)
        _ = liveness.meet(0, session: 50)
        liveness.others[0].grant = .init(epoch: 9, until: 100, incarnation: 7)
        liveness.hear(0, incarnation: 8, now: 6)
        let isPresent = [liveness.meet(0, session: 60), liveness.meet(0, session: 60), liveness.meet(0, session: 59)]
        #expect(isPresent == [nil, true, false])
        #expect(liveness.runningEpoch(for: nodeID(1), now: 60) == 9)
        #expect(liveness.meet(0, session: 61) == nil)
        #expect(liveness.runningEpoch(for: nodeID(1), now: 60) == 0)
    }
}
