/// What has happened on a link so far, and how it is now.
package struct LinkStatistics: Sendable, Hashable {
    /// One direction.
    package struct Direction: Sendable, Hashable {
        package var condition: LinkCondition
        /// Bytes handed on.
        package var bytesForwarded: UInt64 = 0
        /// Bytes that came in and never left: while dropping, at a cut, or for somebody who had gone.
        package var bytesDropped: UInt64 = 0
        /// Bytes that are on their way or held now.
        package var bytesQueued: UInt64 = 0
    }

    package var name: String
    /// Whether connections are reset as soon as they are made.
    package var isCut: Bool
    /// Connections let in.
    package var connectionsOpened: UInt64 = 0
    /// Connections of which one side at least is open now.
    package var connectionsOpen: UInt64 = 0
    /// Connections reset at once because the link was cut.
    package var connectionsRefused: UInt64 = 0
    package var forward: Direction
    package var backward: Direction
}
