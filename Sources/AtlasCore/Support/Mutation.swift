/// Mistakes that can be switched on in builds for mutation tests, to prove that the tests would see them. In all other
/// builds `mutated` is `false` and costs nothing.
package enum Mutation: String, CaseIterable, Sendable {
    case replyBeforeDurable = "reply-before-durable"
    case promiseForgetsAccepted = "promise-forgets-accepted"
    case promiseForgetsCommitted = "promise-forgets-committed"
    case oneBallotField = "one-ballot-field"
    case recoveryIgnoresPromises = "recovery-ignores-promises"
    case recoveryTakesLowest = "recovery-takes-lowest"
    case commitBySlot = "commit-by-slot"
    case gapsStayOpen = "gaps-stay-open"
    case prepareQuorumTooSmall = "prepare-quorum-too-small"
    case acceptQuorumTooSmall = "accept-quorum-too-small"
    case quorumOfReachable = "quorum-of-reachable"
    case restartKeepsOwnership = "restart-keeps-ownership"
    case wipedDiskVotes = "wiped-disk-votes"
    case leaseNotChecked = "lease-not-checked"
    case leaseTooLong = "lease-too-long"
    case grantsForgotten = "grants-forgotten"
    case earlierEpochCounts = "earlier-epoch-counts"
    case closedTooEarly = "closed-too-early"
    case promiseClocksIgnored = "promise-clocks-ignored"
    case handoffKeepsProposing = "handoff-keeps-proposing"
    case handoffWithoutEntries = "handoff-without-entries"
    case retryAppliedTwice = "retry-applied-twice"
    case verdictOfRetryIsFinal = "verdict-of-retry-is-final"
    case positionApart = "position-apart"
    case staleSnapshot = "stale-snapshot"
    case truncationBeforeFlush = "truncation-before-flush"
    case clockGoesBack = "clock-goes-back"
    case readPastClosed = "read-past-closed"
    case commitToldEarly = "commit-told-early"
    case supportIgnored = "support-ignored"
    case freshTooLow = "fresh-too-low"
    case idleWhileBusy = "idle-while-busy"
    case chosenSealForgotten = "chosen-seal-forgotten"
    case timeOfClock = "time-of-clock"
    case stalenessByStamps = "staleness-by-stamps"
    case strandedOwnerStays = "stranded-owner-stays"
    case leaverJustGoes = "leaver-just-goes"
    case stampsTellTheAge = "stamps-tell-the-age"
    case globalTooEarly = "global-too-early"
    case nothingRelayed = "nothing-relayed"
    case lowerBallotVouches = "lower-ballot-vouches"
    case readLeavesTime = "read-leaves-time"
}

#if ATLAS_MUTATIONS
/// Set once, before anything runs.
nonisolated(unsafe) package var activeMutation: Mutation?

@inline(__always)
package func mutated(_ mutation: Mutation) -> Bool {
    activeMutation == mutation
}
#else
@inline(__always)
package func mutated(_ mutation: Mutation) -> Bool {
    false
}
#endif
