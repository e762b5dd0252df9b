package import AtlasTypes

/// Applies chosen entries: a pure function of the state and the entry, so that all replicas agree. It reads no clock; an
/// entry's stamp is its "now".
package struct StateMachine: Sendable {
    /// How long a request id is recognised, in milliseconds; the store keeps superseded records at least as long.
    package let retryWindow: UInt64
    /// Bytes of values that a command may return, unless it is a single value; the same on all replicas.
    let answerBytesMax: Int

    package init(retryWindowMilliseconds: UInt64, answerBytesMax: Int = Limits.answerBytesMax) {
        retryWindow = retryWindowMilliseconds
        self.answerBytesMax = answerBytesMax
    }

    /// What a run of entries does.
    package struct Outcome: Sendable {
        /// The changes of data together with the state that they lead to.
        package var writes: WriteSet
        package var state: TabletState
        /// For each entry the results of its commands.
        package var results: [[CommandResult]]
    }

    /// Works out what entries do to a state. Nothing is changed but the filter, which is a hint: after an error the
    /// same call may be made again.
    /// - Parameter entries: those that follow `state.appliedSlot`, in order and without a gap.
    package func apply<Store: KeyValueStore>(
        _ entries: [Entry],
        to state: TabletState,
        in store: Store,
        filter: inout RequestFilter,
        tier: ReadTier
    ) throws(StoreError) -> Outcome {
        var turn = ApplyTurn(store: store, tier: tier, machine: self, filter: filter, state: state)
        // The turn owns the filter while it runs: two owners would copy it.
        filter = RequestFilter.empty
        defer { filter = turn.filter }
        var results: [[CommandResult]] = []
        results.reserveCapacity(entries.count)
        for entry in entries {
            results.append(try turn.apply(entry))
        }
        turn.finish()
        return Outcome(writes: turn.writes, state: turn.state, results: results)
    }

    /// Evaluates a command that writes nothing, on any state that can be read.
    /// - Parameters:
    ///   - now: milliseconds since 1970.
    ///   - answerBytesMax: bytes of values that the answer may have, unless it is a single value.
    package static func evaluate(
        _ command: Command,
        now: UInt64,
        answerBytesMax: Int = Limits.answerBytesMax,
        read: (Key) throws(StoreError) -> Record?
    ) throws(StoreError) -> CommandResult {
        precondition(!command.operations.contains(where: \.isWrite), "writes go through the log")
        var evaluation = Evaluation(stamp: .zero, now: now, requestID: .none, answerBytesMax: answerBytesMax)
        return try evaluation.run(command, read: read)
    }
}

extension RequestFilter {
    /// Holds nothing and no memory to speak of.
    static let empty = RequestFilter(bits: 64, windowMilliseconds: 0, blindUntil: 0)
}
