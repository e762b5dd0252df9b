/// The search for an order of the operations of one key.
///
/// Three rules keep it small, and lose no order:
/// - A read that fits the present state and tells nothing new of it is placed at once. It changes nothing, so any order in
///   which it comes later still holds with it moved here.
/// - A write without an answer is placed only in front of an operation that would not fit without it. Otherwise it can
///   be moved behind that operation, or left out.
/// - Of writes without an answer that do the same the one called first is placed first: they can change places. Values
///   that nobody ever saw or asked for are the same.
struct RegisterSearch {
    enum Result {
        case linearizable
        case violation(Prefix)
        case undecided
    }

    /// The longest order that was found.
    struct Prefix {
        var order: [Int] = []
        var state = RegisterModel.State()
        /// What could not follow it.
        var candidates: [Int] = []
    }

    private struct Configuration: Hashable {
        var placed: [UInt64]
        var state: RegisterModel.State
        var without: RegisterModel.State?
    }

    private struct Frame {
        var operation: Int
        var state: RegisterModel.State
        var without: RegisterModel.State?
        /// No other choice needs to be tried.
        var isForced: Bool
    }

    private let operations: [RegisterModel.Operation]
    /// By operation: the one before it that has no answer either and does the same.
    private let twins: [Int?]
    private let stepsMax: Int
    /// How many have an answer, and how many of these are placed.
    private let answeredCount: Int
    private var answeredPlaced = 0
    private var events: EventList
    private var placed: [UInt64]
    private var state = RegisterModel.State()
    /// The state that the next operation must not fit: the last one placed has no answer, and this is what was before.
    private var without: RegisterModel.State?
    private var seen: Set<Configuration> = []
    private var stack: [Frame] = []
    private var best = Prefix()
    private var bestAnswered = -1
    private(set) var steps = 0

    init(_ operations: [RegisterModel.Operation], stepsMax: Int) {
        let operations = Self.withoutUnseenValues(operations)
        self.operations = operations
        twins = Self.twins(operations)
        self.stepsMax = stepsMax
        answeredCount = operations.count { $0.response != nil }
        events = EventList(operations)
        placed = Array(repeating: 0, count: (operations.count + 63) / 64)
    }

    private static func withoutUnseenValues(_ operations: [RegisterModel.Operation]) -> [RegisterModel.Operation] {
        var seen: Set<Int> = []
        for step in operations.lazy.flatMap(\.steps) {
            if case .found(let value?, _) = step.sight { seen.insert(value) }
            if case .value(let value) = step.demand { seen.insert(value) }
        }
        var unseen: Int?
        return operations.map { operation in
            guard operation.response == nil else { return operation }
            var operation = operation
            for (index, step) in operation.steps.enumerated() {
                guard case .put(let value) = step.change, !seen.contains(value) else { continue }
                unseen = unseen ?? value
                operation.steps[index].change = .put(unseen!)
            }
            return operation
        }
    }

    private static func twins(_ operations: [RegisterModel.Operation]) -> [Int?] {
        var last: [[RegisterModel.Step]: Int] = [:]
        return operations.enumerated().map { index, operation in
            guard operation.response == nil, operation.version == nil else { return nil }
            return last.updateValue(index, forKey: operation.steps)
        }
    }

    mutating func run() -> Result {
        placeReads()
        var event = events.first
        while answeredPlaced < answeredCount {
            if steps > stepsMax { return .undecided }
            if let operation = events.call(at: event) {
                if place(operation) {
                    placeReads()
                    event = events.first
                } else {
                    event = events.next(after: event)
                }
            } else {
                noteBest()
                guard let next = backtrack() else { return .violation(best) }
                event = next
            }
        }
        return .linearizable
    }

    /// Tries an operation as the next one.
    private mutating func place(_ index: Int) -> Bool {
        if let twin = twins[index], !isPlaced(twin) { return false }
        steps += 1
        let operation = operations[index]
        guard let after = operation.apply(to: state) else { return false }
        if let without, operation.apply(to: without) != nil { return false }
        var before: RegisterModel.State?
        if operation.response == nil {
            before = bound(operation)
            if after == state { return false }
        }
        set(index, true)
        guard seen.insert(Configuration(placed: placed, state: after, without: before)).inserted else {
            set(index, false)
            return false
        }
        push(index, after: after, without: before, isForced: false)
        return true
    }

    /// The present state, with what the conditions of an operation tell of its version.
    private func bound(_ operation: RegisterModel.Operation) -> RegisterModel.State {
        var reading = operation
        let ownWrite = reading.steps.firstIndex { $0.change != nil } ?? reading.steps.count
        reading.steps = Array(reading.steps[..<min(ownWrite + 1, reading.steps.count)])
        for index in reading.steps.indices { reading.steps[index].change = nil }
        return reading.apply(to: state) ?? state
    }

    /// Places the reads that need no choice.
    private mutating func placeReads() {
        var event = events.first
        while let index = events.call(at: event) {
            event = events.next(after: event)
            let operation = operations[index]
            guard operation.response != nil, operation.isPureRead, operation.apply(to: state) == state else { continue }
            if let without, operation.apply(to: without) != nil { continue }
            steps += 1
            set(index, true)
            push(index, after: state, without: nil, isForced: true)
            // The read may have been the first to end: more operations can be next now.
            event = events.first
        }
    }

    private mutating func push(
        _ index: Int,
        after: RegisterModel.State,
        without before: RegisterModel.State?,
        isForced: Bool
    ) {
        stack.append(Frame(operation: index, state: state, without: without, isForced: isForced))
        events.remove(index)
        if operations[index].response != nil { answeredPlaced += 1 }
        state = after
        without = before
    }

    /// Takes back the last choice; `nil` if there is none. Returns where to go on.
    private mutating func backtrack() -> Int? {
        while let frame = stack.popLast() {
            events.restore(frame.operation)
            set(frame.operation, false)
            if operations[frame.operation].response != nil { answeredPlaced -= 1 }
            state = frame.state
            without = frame.without
            if !frame.isForced { return events.next(after: events.eventOfCall(frame.operation)) }
        }
        return nil
    }

    private mutating func set(_ index: Int, _ isPlaced: Bool) {
        let bit: UInt64 = 1 << UInt64(index % 64)
        if isPlaced { placed[index / 64] |= bit } else { placed[index / 64] &= ~bit }
    }

    private func isPlaced(_ index: Int) -> Bool {
        placed[index / 64] & (1 << UInt64(index % 64)) != 0
    }

    private mutating func noteBest() {
        guard answeredPlaced > bestAnswered else { return }
        bestAnswered = answeredPlaced
        best = Prefix(order: stack.map(\.operation), state: state)
        var event = events.first
        while let index = events.call(at: event) {
            best.candidates.append(index)
            event = events.next(after: event)
        }
    }
}

/// Calls and returns in the order of time, as a list from which operations are taken and put back in the reverse order
/// (Knuth's dancing links). Operations without an answer have no return.
private struct EventList {
    private var calls: [Int?]
    private var nextEvent: [Int]
    private var previousEvent: [Int]
    private let callEvent: [Int]
    private let returnEvent: [Int?]

    init(_ operations: [RegisterModel.Operation]) {
        var events: [(time: UInt64, isReturn: Bool, operation: Int)] = []
        for (index, operation) in operations.enumerated() {
            events.append((operation.call, false, index))
            if let response = operation.response { events.append((response, true, index)) }
        }
        // At one time calls come first: operations that end and begin together are concurrent.
        events.sort { ($0.time, $0.isReturn ? 1 : 0, $0.operation) < ($1.time, $1.isReturn ? 1 : 0, $1.operation) }
        // Event 0 is the head, the last one stands for the end.
        let count = events.count + 2
        var calls: [Int?] = Array(repeating: nil, count: count)
        var callEvent = Array(repeating: 0, count: operations.count)
        var returnEvent: [Int?] = Array(repeating: nil, count: operations.count)
        for (place, event) in events.enumerated() {
            if event.isReturn {
                returnEvent[event.operation] = place + 1
            } else {
                calls[place + 1] = event.operation
                callEvent[event.operation] = place + 1
            }
        }
        self.calls = calls
        self.callEvent = callEvent
        self.returnEvent = returnEvent
        nextEvent = (0..<count).map { min($0 + 1, count - 1) }
        previousEvent = (0..<count).map { max($0 - 1, 0) }
    }

    var first: Int { nextEvent[0] }

    /// The operation that is called there; `nil` at a return and at the end.
    func call(at event: Int) -> Int? { calls[event] }

    func next(after event: Int) -> Int { nextEvent[event] }

    func eventOfCall(_ operation: Int) -> Int { callEvent[operation] }

    mutating func remove(_ operation: Int) {
        unlink(callEvent[operation])
        if let event = returnEvent[operation] { unlink(event) }
    }

    mutating func restore(_ operation: Int) {
        if let event = returnEvent[operation] { link(event) }
        link(callEvent[operation])
    }

    private mutating func unlink(_ event: Int) {
        nextEvent[previousEvent[event]] = nextEvent[event]
        previousEvent[nextEvent[event]] = previousEvent[event]
    }

    private mutating func link(_ event: Int) {
        nextEvent[previousEvent[event]] = event
        previousEvent[nextEvent[event]] = event
    }
}
