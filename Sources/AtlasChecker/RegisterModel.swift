/// One key as a sequential object: what an operation does to its state, and whether its answer fits.
enum RegisterModel {
    /// Values are numbers that stand for them; equal values have equal numbers.
    struct State: Hashable {
        /// `nil`: absent.
        var value: Int?
        /// 0: not known, of a value that was written without an answer. It becomes known when somebody sees it.
        var version: History.Version = 0
    }

    enum Demand: Hashable {
        case absent
        case exists
        case version(History.Version)
        case value(Int)
    }

    /// An observation.
    enum Sight: Hashable {
        case nothing
        case absent
        case found(value: Int?, version: History.Version?)
    }

    enum Change: Hashable {
        case put(Int)
        case delete
    }

    struct Step: Hashable {
        var demand: Demand?
        /// Whether the demand held.
        var isMet = true
        var sight: Sight = .nothing
        var change: Change?
    }

    /// What one operation did to one key, at one moment.
    struct Operation {
        /// In the history.
        var number: Int
        var call: UInt64
        /// `nil`: it may take effect at any time after the call, or never.
        var response: UInt64?
        var steps: [Step]
        /// What it writes with, if known.
        var version: History.Version?

        var isPureRead: Bool { steps.allSatisfy { $0.change == nil } }

        /// The state after the operation, or `nil` if its answer does not fit.
        func apply(to before: State) -> State? {
            var state = before
            for step in steps {
                guard step.meets(&state) else { return nil }
                switch step.change {
                case .put(let value): state = State(value: value, version: version ?? 0)
                case .delete: state = State()
                case nil: break
                }
            }
            return state
        }
    }
}

extension RegisterModel.Step {
    /// Whether demand and sight fit a state; they may tell the version of the state.
    fileprivate func meets(_ state: inout RegisterModel.State) -> Bool {
        guard meetsSight(&state) else { return false }
        guard let demand else { return true }
        switch demand {
        case .absent: return (state.value == nil) == isMet
        case .exists: return (state.value != nil) == isMet
        case .value(let value): return (state.value == value) == isMet
        case .version(let version):
            // A version that is not known may be another one. Nothing has version 0.
            guard version > 0 else { return !isMet }
            return isMet ? state.learn(version) : state.value == nil || state.version != version
        }
    }

    private func meetsSight(_ state: inout RegisterModel.State) -> Bool {
        switch sight {
        case .nothing: return true
        case .absent: return state.value == nil
        case .found(let value, let version):
            guard let present = state.value, value == nil || value == present else { return false }
            return version.map { state.learn($0) } ?? true
        }
    }
}

extension RegisterModel.State {
    fileprivate mutating func learn(_ version: History.Version) -> Bool {
        guard value != nil else { return false }
        if self.version == 0 { self.version = version }
        return self.version == version
    }
}
