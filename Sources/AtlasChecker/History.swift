/// What the clients of a run did and were told: the input of every checker.
///
/// Times may be in any unit and need only order events; a counter of events is best, as operations that end and begin
/// at the same time count as concurrent. Values that expire are not modelled: leave their keys out.
package struct History: Hashable, Sendable {
    package typealias Key = [UInt8]
    package typealias Value = [UInt8]
    /// The stamp of the command that wrote a value; 0 is an absent key.
    package typealias Version = UInt64

    package var operations: [Operation]

    package init(_ operations: [Operation] = []) {
        self.operations = operations
    }
}

extension History {
    /// One attempt of one client's request.
    ///
    /// A retry is an operation of its own with the same `requestID`, as what is known of the attempts differs: the
    /// first may still take effect after a later one was told that its condition failed. Attempts that were refused
    /// with certainty and reads that failed may be left out, or recorded as `.refused`.
    package struct Operation: Hashable, Sendable {
        /// The client.
        package var process: Int
        package var call: UInt64
        /// `nil`: no answer came.
        package var response: UInt64?
        /// Same id, same write: it may take effect once. `nil`: the write has no other attempts.
        package var requestID: UInt128?
        package var action: Action
        package var outcome: Outcome
        /// Of an action that only reads.
        package var consistency: Consistency
        /// Where a write was put, or how much of the log a consistent read saw. `nil` if the answer does not say, and
        /// for the answer to a duplicate, which names the place of the retry.
        package var place: Place?
        /// The time at which it told what had expired. `nil` if the answer does not say.
        package var time: Version?

        package init(
            process: Int,
            call: UInt64,
            response: UInt64?,
            action: Action,
            outcome: Outcome,
            requestID: UInt128? = nil,
            consistency: Consistency = .consistent,
            place: Place? = nil,
            time: Version? = nil
        ) {
            self.process = process
            self.call = call
            self.response = response
            self.action = action
            self.outcome = outcome
            self.requestID = requestID
            self.consistency = consistency
            self.place = place
            self.time = time
        }
    }

    /// A position in a tablet's log. For a read: everything up to the slot had been applied, and nothing above it.
    package struct Place: Hashable, Sendable {
        package var tablet: UInt64
        package var epoch: UInt64
        package var slot: UInt64
        /// Among the commands of the slot's entry, if known.
        package var index: Int?

        package init(tablet: UInt64, epoch: UInt64, slot: UInt64, index: Int? = nil) {
            self.tablet = tablet
            self.epoch = epoch
            self.slot = slot
            self.index = index
        }
    }

    /// What a read was promised.
    package enum Consistency: Hashable, Sendable {
        case consistent
        /// `local` and `nearest`.
        case weak(WeakRead)
        /// The state as of a version.
        case at(Version)
    }

    /// What the request asked of a weak read, and what the answer claims.
    package struct WeakRead: Hashable, Sendable {
        /// The state has everything up to this version: the closed timestamp under which the read was served.
        package var asOf: Version?
        /// The request's `min_version`.
        package var minVersion: Version
        /// Stated by the answer, in milliseconds.
        package var staleness: UInt64?
        /// The server's wall clock when it answered, in milliseconds; turns `staleness` into a version.
        package var servedAt: UInt64?

        package init(
            asOf: Version? = nil,
            minVersion: Version = 0,
            staleness: UInt64? = nil,
            servedAt: UInt64? = nil
        ) {
            self.asOf = asOf
            self.minVersion = minVersion
            self.staleness = staleness
            self.servedAt = servedAt
        }

        /// Bits of a version below the milliseconds. Source: consensus.md section 5.
        private static let counterBits: UInt64 = 20

        /// Everything up to here is in the state that was read, as the answer claims.
        package var claim: Version {
            var claim = asOf ?? 0
            if let staleness, let servedAt, servedAt > staleness {
                claim = max(claim, (servedAt - staleness) << Self.counterBits)
            }
            return claim
        }
    }
}
