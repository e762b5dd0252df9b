package import AtlasCore
package import AtlasTypes

/// Something that a scenario wants at a time.
package struct ScriptStep: Sendable {
    /// Where it stands in the scenario's file.
    package var line: Int
    /// As it is written there.
    package var text: String
    /// Virtual nanoseconds; `nil` is the end of the run.
    package var time: UInt64?
    package var action: Action

    /// Nodes and clients count from 0 here, and from 1 in files.
    package enum Action: Hashable, Sendable {
        case crash([Int])
        case restart([Int])
        /// Restarts with monotonic clocks that begin anew.
        case reboot([Int])
        case wipe(Int)
        case pause([Int], nanoseconds: UInt64)
        case cut(Links)
        case mend(Links)
        /// Every link works, and nothing is lost.
        case heal
        case clog(Links, nanoseconds: UInt64)
        case loss(permille: Int)
        case clock(Int, milliseconds: Int64)
        case campaign(Int, tablet: UInt64)
        /// Asked of a node, else of the first that is up.
        case admin(Target, AdminRequest.Action, node: Int?)
        /// Voters are nodes: their incarnations are known only then.
        case reconfigure(tablet: UInt64, voters: [Int], Reconfiguration, node: Int?)
        case request(client: Int, Request, node: Int?)
        case expect(Expectation)
    }

    package enum Target: Hashable, Sendable {
        case tablet(UInt64)
        case key(Key)
    }

    package enum Links: Hashable, Sendable {
        case between([Int], [Int], bothWays: Bool)
        /// To and from everything else.
        case region(Int)
        case around([Int])
    }

    package enum Expectation: Hashable, Sendable {
        case owner(Int, tablet: UInt64)
        case answered(client: Int)
        case refused(client: Int)
        /// What the client's last read found; `nil` is nothing.
        case read(client: Int, value: String?)
        case mark(Mark)
        case tablets(Int)
        case up(Int)
        case down(Int)
    }
}
