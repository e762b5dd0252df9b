import Testing

@testable import AtlasCore
import AtlasTypes

/// What new owners propose again, in a small model of owners and voters: whatever was chosen stays chosen.
struct PromisedRunTests {
    private typealias Rule = (_ shown: [Entry], _ ballot: Ballot) -> [Entry]

    private let promisedRun: Rule = {
        PromisedRun(of: $0, above: .zero, stampedAbove: .zero, ballot: $1).entries
    }

    /// An entry stays where it is if it is in order after whatever is before it, chosen or not.
    private let lowerSlotWins: Rule = { shown, ballot in
        var kept: [Entry] = []
        for entry in shown where entry.stamp > kept.last?.lastStamp ?? .zero {
            if case .seal = kept.last?.payload { break }
            kept.append(entry)
        }
        return PromisedRun(of: kept, above: .zero, stampedAbove: .zero, ballot: ballot).entries
    }

    @Test(arguments: 0..<40)
    func whatWasChosenStays(seed: UInt64) {
        for round in 0..<100 {
            var model = Model(seed: seed * 1_000 + UInt64(round), rule: promisedRun)
            #expect(model.run() == nil)
        }
    }

    /// A rule that trusts in the lower slot loses what a higher ballot has chosen above, behind stamps and behind seals.
    @Test func theModelFindsAWrongRule() {
        var found: Set<Model.Finding> = []
        for seed in 0..<4_000 {
            var model = Model(seed: UInt64(seed), rule: lowerSlotWins)
            if let finding = model.run() { found.insert(finding) }
        }
        #expect(found == [.lostBehindStamp, .lostBehindSeal])
    }

    @Test func gapsRepeatTheStampBeforeThem() {
        let run = PromisedRun(
            of: [entry(12, 1, stamp: 40), entry(14, 1, stamp: 50, commands: 3), entry(16, 1, stamp: 53)],
            above: slot(10),
            stampedAbove: Timestamp(rawValue: 30),
            ballot: ballot(4, 1)
        )
        #expect(run.entries.map(\.slot.rawValue) == Array(11...16))
        #expect(run.entries.map(\.stamp.rawValue) == [30, 40, 40, 50, 52, 53])
        #expect(run.entries.allSatisfy { $0.ballot == ballot(4, 1) })
        #expect((run.gaps, run.contradictions) == (3, 0))
    }

    @Test func ofAContradictionTheHigherBallotStays() {
        #expect(kept([entry(11, 3, stamp: 50), entry(13, 5, stamp: 40)]) == [nil, nil, 40])
        #expect(kept([entry(11, 5, stamp: 50), entry(13, 3, stamp: 40)]) == [50])
        #expect(kept([seal(11, 3, stamp: 40), entry(12, 5, stamp: 50)]) == [nil, 50])
        #expect(kept([seal(11, 5, stamp: 40), entry(12, 3, stamp: 50)]) == [40])
        // Both are below what the highest ballot knew.
        #expect(kept([entry(11, 1, stamp: 50), entry(12, 2, stamp: 60), entry(13, 5, stamp: 40)]) == [nil, nil, 40])
        // The middle one contradicts both: it went before the first, and the last before it.
        #expect(kept([entry(11, 5, stamp: 50), entry(12, 2, stamp: 60), entry(13, 3, stamp: 40)]) == [50])
        // Nothing stamped at or below what is chosen was chosen above it.
        #expect(kept([entry(11, 9, stamp: 30)]) == [])
    }

    /// The stamps of what is left above slot 10, which is stamped 30; `nil` where there is a gap.
    private func kept(_ shown: [Entry]) -> [UInt64?] {
        let run = PromisedRun(
            of: shown,
            above: slot(10),
            stampedAbove: Timestamp(rawValue: 30),
            ballot: ballot(10, 1)
        )
        return run.entries.map { $0.payload == .noOperation ? nil : $0.stamp.rawValue }
    }

    private func entry(_ number: UInt64, _ counter: UInt64, stamp: UInt64, commands: Int = 1) -> Entry {
        let command = Command(requestID: RequestID(high: 1, low: stamp), operations: [put("k", "\(stamp)")])
        return Entry(
            slot: slot(number),
            ballot: ballot(counter, 1),
            stamp: Timestamp(rawValue: stamp),
            payload: .commands(Array(repeating: command, count: commands))
        )
    }

    private func seal(_ number: UInt64, _ counter: UInt64, stamp: UInt64) -> Entry {
        Entry(
            slot: slot(number),
            ballot: ballot(counter, 1),
            stamp: Timestamp(rawValue: stamp),
            payload: .seal(Seal(successors: [], owner: NodeID(rawValue: 1)))
        )
    }
}

/// Owners one after the other, or beside each other, and voters that get what they propose in any order, late or never.
private struct Model {
    enum Finding: Hashable { case lostBehindStamp, lostBehindSeal }

    private struct Voter {
        var promised = Ballot.zero
        var accepted: [Slot: Entry] = [:]
        var fresh = FreshMarks()
        var clock: UInt64 = 0
    }

    private struct Owner {
        var ballot: Ballot
        var freshFrom: Slot
        var clock: UInt64
        var nextSlot: Slot
        var isSealing: Bool
        var runs: [[Entry]]
    }

    private struct Vote: Hashable {
        var slot: Slot
        var ballot: Ballot
    }

    private let rule: ([Entry], Ballot) -> [Entry]
    private let prepareQuorum: Int
    private var random: Random
    private var voters: [Voter]
    private var owners: [Owner] = []
    private var votes: [Vote: Set<Int>] = [:]
    private var chosen: [Slot: Entry] = [:]

    init(seed: UInt64, rule: @escaping ([Entry], Ballot) -> [Entry]) {
        self.rule = rule
        random = Random(seed: seed)
        voters = Array(repeating: Voter(), count: 3 + random.below(2))
        prepareQuorum = 1 + random.below(voters.count - 1)
    }

    mutating func run() -> Finding? {
        for _ in 0..<80 {
            if owners.isEmpty || random.chance(10) {
                if let lost = elect() { return lost }
            } else if random.chance(15) {
                propose(by: random.below(owners.count))
            } else {
                deliver()
            }
        }
        return nil
    }

    /// Somebody is promised a new ballot by a Q1 of voters at random, and begins with what they show.
    private mutating func elect() -> Finding? {
        let ballot = Ballot(counter: UInt64(owners.count + 1), node: NodeID(rawValue: 1))
        var promisers = Array(voters.indices)
        promisers.shuffle(using: &random)
        var shown: [Slot: Entry] = [:]
        var fresh = FreshMarks()
        var clock = UInt64(random.below(50))
        for voter in promisers.prefix(prepareQuorum) {
            voters[voter].promised = ballot
            fresh.formUnion(voters[voter].fresh)
            clock = max(clock, voters[voter].clock)
            shown.merge(voters[voter].accepted) { $0.ballot > $1.ballot ? $0 : $1 }
        }
        let possible = shown.values.filter { !fresh.ruleOut($0.slot, acceptedAt: $0.ballot) }
        let run = rule(possible.sorted { $0.slot < $1.slot }, ballot)
        for (slot, entry) in chosen.sorted(by: { $0.key < $1.key }) {
            let again = run.first { $0.slot == slot }
            if again?.payload == entry.payload, again?.stamp == entry.stamp { continue }
            if case .seal = run.last?.payload { return .lostBehindSeal }
            return .lostBehindStamp
        }
        let next = (run.last?.slot ?? .zero).next
        var isSealing = false
        if case .seal = run.last?.payload { isSealing = true }
        owners.append(
            Owner(
                ballot: ballot,
                freshFrom: next,
                clock: max(clock, run.last?.lastStamp.rawValue ?? 0),
                nextSlot: next,
                isSealing: isSealing,
                runs: run.map { [$0] }
            )
        )
        if !isSealing { propose(by: owners.count - 1) }
        return nil
    }

    private mutating func propose(by index: Int) {
        guard !owners[index].isSealing, owners[index].nextSlot.rawValue < 12 else { return }
        owners[index].clock += UInt64(1 + random.below(20))
        let stamp = owners[index].clock
        var payload = Payload.noOperation
        if random.chance(10) {
            payload = .seal(Seal(successors: [], owner: NodeID(rawValue: stamp)))
            owners[index].isSealing = true
        } else if random.chance(80) {
            let request = RequestID(high: UInt64(index), low: stamp)
            payload = .commands([Command(requestID: request, operations: [put("k", "v")])])
        }
        let entry = Entry(
            slot: owners[index].nextSlot,
            ballot: owners[index].ballot,
            stamp: Timestamp(rawValue: stamp),
            payload: payload
        )
        owners[index].nextSlot = entry.slot.next
        owners[index].runs.append([entry])
    }

    private mutating func deliver() {
        let owner = owners[random.chance(70) ? owners.count - 1 : random.below(owners.count)]
        let voter = random.below(voters.count)
        guard !owner.runs.isEmpty, owner.ballot >= voters[voter].promised else { return }
        voters[voter].promised = owner.ballot
        voters[voter].fresh.insert(FreshMark(ballot: owner.ballot, slot: owner.freshFrom))
        for entry in owner.runs[random.below(owner.runs.count)] {
            voters[voter].accepted[entry.slot] = entry
            voters[voter].clock = max(voters[voter].clock, entry.lastStamp.rawValue)
            let vote = Vote(slot: entry.slot, ballot: entry.ballot)
            votes[vote, default: []].insert(voter)
            if votes[vote]!.count > voters.count - prepareQuorum { chosen[entry.slot] = entry }
        }
    }
}
