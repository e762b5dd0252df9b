internal import AtlasTypes

extension TabletReplica {
    /// Where the replica is, in one line for people.
    package var summary: String {
        let followers = ownership.map { ownership in
            let states = zip(config.voters, ownership.followers).map { voter, follower in
                "n\(voter.node.rawValue) \(follower.matched.rawValue)/\(follower.commitPoint.rawValue)"
                    + (follower.needsSnapshot ? "!" : "") + (follower.isIdle ? "~" : "")
            }
            let moving = ownership.target.map { ", moving to n\(config.voters[$0.voter].node.rawValue)" } ?? ""
            return moving + (ownership.sealSlot == nil ? "" : ", sealing") + ", next \(ownership.nextSlot.rawValue), "
                + "followers \(states.joined(separator: " "))"
        }
        let state = isInstalling ? " installing" : applyingThrough == nil ? "" : " applying"
        let probing = candidacy?.isProbing ?? false ? " probing" : ""
        return "tablet \(config.tablet.rawValue % 1_000)@\(config.epoch) \(role)\(probing), "
            + "promised \(promised) of n\(promised.owner.rawValue), seen \(highestSeen), "
            + "window \(window.base.rawValue)–\(window.last.rawValue), accepted \(acceptedThrough.rawValue), "
            + "commit \(commitPoint.rawValue), applied \(applied.appliedSlot.rawValue)\(state), "
            + "voters \(config.voters.map { "n\($0.node.rawValue)" }.joined(separator: " "))\(followers ?? "")"
    }
}
