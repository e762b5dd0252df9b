/// The bounds within which a tablet works.
package struct Limits: Hashable, Sendable {
    /// Slots proposed and not yet chosen.
    package var pipelineDepthMax = 256
    /// Bytes proposed and not yet chosen.
    package var pipelineBytesMax = 32 << 20
    /// Commands that share an entry.
    package var entryCommandsMax = 1_024
    /// Bytes of one entry, unless a single command is larger.
    package var entryBytesMax = 1 << 20
    /// Commands that wait to be proposed; more are refused.
    package var queueCommandsMax = 16_384
    package var queueBytesMax = 64 << 20
    /// Reads that wait for a state to be reached; more are refused.
    package var waitingReadsMax = 16_384

    package init() {}
}
