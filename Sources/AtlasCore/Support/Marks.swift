/// Rare paths of the core. A test that is about one asserts that it passed through it; the simulator counts them.
package enum Mark: UInt8, CaseIterable, Sendable {
    case electionWon, electionLost, probeRefused, probeOverruled, prepareLeased, prepareReleased, restartGrace
    case promiseChunked, promiseNeedsSnapshot, promiseGapFilled, promiseRuledOut, promiseOutOfOrder, recoveredSeal
    case acceptGap, acceptTooFarAhead, catchUpRun, retransmission, ownerReballot, slowPath, globalWaited
    case pipelineFull, orphanAnswered, orphanRetried, duplicateAnswered
    case leaseLapsed, epochConfirmed, readByConfirmation, readByNoOperation, readAtReplica, readForwarded, closedIdle
    case handoffSent, handoffTaken, handoffLost, handoffWithEntries, handoffRefused, policyMove
    case requestForwarded, requestRetried, responseLate, verdictPostponed
    case sealChosen, split, reconfigured, voterJoined, voterLeft, initialOwner, sealedStream, superseded
    case snapshotOffered, snapshotInstalled, snapshotRestarted, snapshotStale, snapshotLost, windowTruncated
    case clockJump, clockRefused, foreignIncarnation, formerIncarnation
    case stateChecked, stateDiffers
    case deafNode, ownerStranded, clockDistrusted
}

/// The marks that were passed.
package struct MarkSet: Hashable, Sendable {
    package private(set) var bits: UInt64 = 0

    package init() {}

    package mutating func insert(_ mark: Mark) {
        bits |= 1 << UInt64(mark.rawValue)
    }

    package mutating func formUnion(_ other: MarkSet) {
        bits |= other.bits
    }

    package func contains(_ mark: Mark) -> Bool {
        bits & (1 << UInt64(mark.rawValue)) != 0
    }
}
