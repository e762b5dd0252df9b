/// Something in a history that no correct run can show.
package struct Violation: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The history contradicts itself: an answer that does not fit its request.
        case malformed
        /// A read returned what nobody had written by then.
        case unwritten
        /// A version was read with another value than it was written with.
        case wrongValue
        /// Two writes of a key have the same version.
        case versionReused
        /// One write took effect twice.
        case duplicateEffect
        /// The versions of a key contradict real time.
        case realTimeOrder
        /// A consistent read missed a write that was acknowledged, or shown to another read, before it began.
        case staleRead
        /// A write took effect although its condition did not hold, or failed although it did.
        case conditionIgnored
        /// A write reports another state before it than the writes before it left.
        case wrongPredecessor
        /// A batch took effect in parts.
        case tornBatch
        /// What was read together was never there together.
        case tornSnapshot
        /// The items of a scan are out of order, out of range or too many.
        case scanShape
        /// One place in a log holds two writes.
        case placeReused
        /// Places in a log contradict the versions.
        case placeOrder
        /// A consistent operation tells what has expired by an earlier time than one before it.
        case timeWentBack
        /// A weak read misses what its answer claims to have, or what the request demanded.
        case staleWeakRead
        /// No order of a key's operations explains their answers.
        case notLinearizable
        /// The search was given up. Counts as a failure.
        case undecided
        /// The balances that were read together do not add up.
        case bankTotal
        /// Reads of a list disagree about the order of its elements.
        case listOrder
        /// Transactions depend on each other in a circle.
        case dependencyCycle
    }

    package var kind: Kind
    /// For humans: what was expected, what was seen, and the operations that show it.
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String { "\(kind.rawValue): \(message)" }
}
