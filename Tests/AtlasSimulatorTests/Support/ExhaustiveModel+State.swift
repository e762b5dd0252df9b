@testable import AtlasCore
import AtlasTypes

/// One state of the model but for its messages.
struct ModelState {
    static let nodesMax = 4

    /// By node: the id of its state.
    var nodes = SIMD4<UInt32>(repeating: 0)
    // What may still happen.
    var campaigns: UInt8
    var writes: UInt8
    var moves: UInt8
    var crashes: UInt8

    init(_ options: ExhaustiveModel.Options) {
        campaigns = UInt8(options.campaigns)
        writes = UInt8(options.writes)
        moves = UInt8(options.moves)
        crashes = UInt8(options.crashes)
    }

    mutating func spend(_ action: ExhaustiveModel.Action) {
        switch action {
        case .deliver: break
        case .campaign: campaigns -= 1
        case .write: writes -= 1
        case .move: moves -= 1
        case .restart: crashes -= 1
        }
    }

    /// Over all of the state. Two states with the same hash would count as one: with 64 bits and ten million states that
    /// happens in one of a hundred thousand searches.
    func hash(messages: [UInt16]) -> UInt64 {
        var hash = Self.mix(UInt64(campaigns) | UInt64(writes) << 8 | UInt64(moves) << 16 | UInt64(crashes) << 24)
        for index in 0..<Self.nodesMax { hash = Self.mix(hash ^ UInt64(nodes[index])) }
        for id in messages { hash = Self.mix(hash ^ UInt64(id) &+ 1) }
        return hash
    }

    /// The finaliser of SplitMix64, with its increment.
    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// States that are equally far from the first one. Their messages share one array.
struct ModelFrontier {
    private(set) var states: [ModelState] = []
    private var ends: [Int] = []
    private var messages: [UInt16] = []

    var isEmpty: Bool { states.isEmpty }
    var indices: Range<Int> { states.indices }

    mutating func append(_ state: ModelState, messages: [UInt16]) {
        states.append(state)
        self.messages += messages
        ends.append(self.messages.count)
    }

    /// Ids, ascending.
    func messages(of index: Int) -> ArraySlice<UInt16> {
        messages[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }
}

/// A set of hashes, open addressed: half the memory and a fraction of the time of a `Set`.
struct HashTable {
    private var places: [UInt64]
    private(set) var count = 0

    init() {
        places = Array(repeating: 0, count: 1 << 16)
    }

    /// - Returns: whether it is new.
    @discardableResult
    mutating func insert(_ hash: UInt64) -> Bool {
        let hash = hash == 0 ? 1 : hash
        if count * 2 >= places.count { grow() }
        let place = place(of: hash)
        guard places[place] == 0 else { return false }
        places[place] = hash
        count += 1
        return true
    }

    private func place(of hash: UInt64) -> Int {
        let mask = places.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while places[place] != 0, places[place] != hash { place = (place + 1) & mask }
        return place
    }

    private mutating func grow() {
        let old = places
        places = Array(repeating: 0, count: old.count * 2)
        for hash in old where hash != 0 { places[place(of: hash)] = hash }
    }
}

extension Ballot {
    /// In the order of ballots; zero is before all of them.
    var code: UInt64 {
        counter << 32 | node.rawValue << 16 | UInt64(handoff)
    }
}

extension Message {
    /// What the search has to know of a message.
    func letter(from: Int, to: Int, _ message: PeerMessage) -> ExhaustiveModel.Letter {
        func letter(_ kind: ExhaustiveModel.Letter.Kind, _ ballot: Ballot) -> ExhaustiveModel.Letter {
            ExhaustiveModel.Letter(from: from, to: to, message: message, ballot: ballot.code, kind: kind)
        }
        switch self {
        case .promise(let promise): return letter(.promise, promise.ballot)
        case .accepted(let accepted):
            var letter = letter(accepted.hasGap ? .gapReport : .accepted, accepted.ballot)
            letter.through = accepted.through.rawValue
            letter.commitPoint = accepted.commitPoint.rawValue
            return letter
        case .reject(let promised): return letter(.reject, promised)
        case .prepare(let prepare): return letter(.prepare, prepare.ballot)
        case .accept(let accept):
            var letter = letter(.accept, accept.body.ballot)
            letter.through = accept.body.entries.last!.slot.rawValue
            letter.commitPoint = accept.body.commitPoint.rawValue
            return letter
        case .commit(let commit):
            var letter = letter(.commit, commit.ballot)
            letter.through = commit.through.rawValue
            return letter
        case .handoff(let handoff): return letter(.handoff, handoff.ballot)
        case .promiseNeedsSnapshot(let ballot, _), .probe(let ballot), .probed(let ballot), .leased(let ballot, _, _):
            return letter(.other, ballot)
        case .check(let check): return letter(.other, check.ballot)
        }
    }
}

extension ExhaustiveModel.Letter.Kind {
    /// Whether a node that has promised a higher ballot rejects it.
    var isOrder: Bool {
        switch self {
        case .prepare, .accept, .commit, .handoff: true
        case .promise, .accepted, .gapReport, .reject, .other: false
        }
    }
}
