import AtlasCore
import AtlasSimulator
import AtlasTypes

extension ScriptedNode {
    /// What each replica holds, a line each.
    func describe() -> [String] {
        core!.tablets.map { describe($0, "") } + core!.retired.map { describe($0.replica, "retired ") }
    }

    private func describe(_ replica: TabletReplica, _ prefix: String) -> String {
        let role =
            switch replica.role {
            case .follower: "follower"
            case .candidate: "candidate"
            case .owner: "owner at \(Notation.text(replica.ownership!.ballot))"
            }
        let held = replica.window.run(above: replica.window.base, through: replica.window.last)
        return prefix + Notation.prefix(replica.key) + "\(role), promised \(Notation.text(replica.promised)), "
            + "commit \(replica.commitPoint.rawValue), applied \(replica.applied.appliedSlot.rawValue), "
            + "holds above \(replica.window.base.rawValue):" + (held.isEmpty ? " nothing" : Notation.text(held))
    }

    func lease(of key: TabletKey) -> String {
        let until = core!.leaseUntil(key)
        if until == .max { return "without end" }
        return until > now.monotonic ? "for \(Notation.text(nanoseconds: until - now.monotonic))" : "none"
    }
}
