/// What holds for a batch in all its forms: as a message, as a command, in the log.
package enum BatchLimits {
    /// No batch has more operations, whatever a cluster's own limit is.
    package static let operationsMax = 100_000
}
