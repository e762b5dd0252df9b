import Testing

@testable import AtlasCore
import AtlasTypes

/// The two ends of a list of idle tablets, and what gets lost between them.
struct IdleListTests {
    private let first = TabletKey(tablet: TabletID(rawValue: 1), epoch: 1)
    private let second = TabletKey(tablet: TabletID(rawValue: 2), epoch: 1)

    @Test func onlyChangesTravel() {
        var sender = IdleListSender()
        var receiver = IdleListReceiver()
        sender.insert(first, slot: slot(4))
        sender.insert(first, slot: slot(5))
        sender.insert(second, slot: slot(9))
        let update = sender.update(closed: stamp(10), changesMax: 10)
        #expect(update.changes.count == 2, "on it once")
        receiver.receive(update, madeAfter: 7)
        #expect(receiver.closed(first, applied: slot(4)).timestamp == stamp(10))
        #expect(receiver.closed(first, applied: slot(4)).moment == 7)
        #expect(receiver.closed(first, applied: slot(3)) == (.zero, 0), "not applied yet")
        #expect(receiver.closed(TabletKey(tablet: first.tablet, epoch: 2), applied: slot(9)).timestamp == .zero)
        sender.acknowledge(receiver.generation)
        #expect(sender.update(closed: stamp(20), changesMax: 10).changes.isEmpty)

        sender.remove(first)
        sender.remove(first)
        receiver.receive(sender.update(closed: stamp(20), changesMax: 10), madeAfter: 7)
        #expect(receiver.closed(first, applied: slot(4)).timestamp == .zero)
        #expect(receiver.closed(second, applied: slot(9)).timestamp == stamp(20))
    }

    @Test func whatIsClosedHoldsForTheWholeListAlone() {
        var sender = IdleListSender()
        var receiver = IdleListReceiver()
        for number in 1...5 as ClosedRange<UInt64> {
            sender.insert(TabletKey(tablet: TabletID(rawValue: number), epoch: 1), slot: slot(1))
        }
        let part = sender.update(closed: stamp(10), changesMax: 3)
        #expect(part.closed == .zero && part.from == 0 && part.to == 3, "two are still to come")
        receiver.receive(part, madeAfter: 7)
        #expect(receiver.closed(first, applied: slot(1)).moment == 0, "nothing was closed")
        #expect(receiver.generation == 3 && receiver.closed(first, applied: slot(1)).timestamp == .zero)
        sender.acknowledge(3)
        receiver.receive(sender.update(closed: stamp(11), changesMax: 3), madeAfter: 7)
        #expect(receiver.closed(first, applied: slot(1)).timestamp == stamp(11))

        // What was closed for the list as it was says nothing about a tablet that is new on it.
        sender.acknowledge(5)
        sender.remove(first)
        sender.insert(first, slot: slot(1))
        receiver.receive(sender.update(closed: .zero, changesMax: 10), madeAfter: 7)
        #expect(receiver.closed(first, applied: slot(1)).timestamp == .zero)
    }

    @Test func nonsenseIsIgnored() {
        var receiver = IdleListReceiver()
        let change = IdleUpdate.Change(tablet: first, slot: slot(1))
        receiver.receive(IdleUpdate(list: 0, from: 1, changes: [change], closed: stamp(9)), madeAfter: 7)
        #expect(receiver.generation == 0 && receiver.closed(first, applied: slot(9)).timestamp == .zero)
        receiver.receive(IdleUpdate(list: 4, from: 4, changes: [change], closed: stamp(9)), madeAfter: 7)
        #expect(receiver.generation == 5 && receiver.closed(first, applied: slot(9)).timestamp == stamp(9))
        let other = IdleUpdate.Change(tablet: second, slot: slot(1))
        receiver.receive(IdleUpdate(list: 3, from: 5, changes: [other], closed: stamp(10)), madeAfter: 7)
        #expect(
            receiver.generation == 5 && receiver.closed(second, applied: slot(9)).timestamp == .zero,
            "of an earlier list"
        )
        var sender = IdleListSender()
        sender.insert(first, slot: slot(1))
        sender.acknowledge(2)
        #expect(sender.acknowledged == 0, "of what has not been said")
        #expect(sender.reset() == [first])
        #expect(sender.tablets.isEmpty)
        sender.acknowledge(1)
        sender.insert(second, slot: slot(1))
        let anew = sender.update(closed: stamp(9), changesMax: 10)
        #expect(anew.list == 1 && anew.from == 1 && anew.changes.count == 1, "no number is used twice")
    }

    /// Heartbeats and their replies are lost, repeated and late, and the receiver starts again, of which the sender hears
    /// later; the receiver never holds a tablet as idle that was not so, at that slot, when the closed timestamp was
    /// stated, and has the list once everything arrives.
    @Test(arguments: 0..<40)
    func agreesInTheEnd(seed: Int) {
        var random = Random(seed: UInt64(seed))
        var sender = IdleListSender()
        var receiver = IdleListReceiver()
        var listed: [UInt64: UInt64] = [:]
        /// By closed timestamp: the list that it was stated for.
        var stated: [Timestamp: [UInt64: UInt64]] = [.zero: [:]]
        var updates: [IdleUpdate] = []
        var replies: [UInt64] = []
        var hasRestarted = false
        func relist(_ step: UInt64) {
            hasRestarted = false
            for tablet in sender.reset() {
                listed[tablet.tablet.rawValue] = step
                sender.insert(tablet, slot: slot(step))
            }
        }
        func key(_ number: UInt64) -> TabletKey { TabletKey(tablet: TabletID(rawValue: number), epoch: 1) }
        for step in 1...300 as ClosedRange<UInt64> {
            let number = UInt64(random.below(6))
            switch random.below(60) / 10 {
            case 0:
                if listed[number] == nil { listed[number] = step }
                sender.insert(key(number), slot: slot(step))
            case 1:
                listed[number] = nil
                sender.remove(key(number))
            case 2:
                updates.append(sender.update(closed: stamp(step), changesMax: 1 + random.below(4)))
                stated[stamp(step)] = listed
            case 3 where !updates.isEmpty:
                receiver.receive(updates[random.below(updates.count)], madeAfter: 7)
                replies.append(receiver.generation)
            case 4:
                if !replies.isEmpty { sender.acknowledge(replies[random.below(replies.count)]) }
            default:
                guard random.chance(20) || hasRestarted else { continue }
                if hasRestarted { relist(step) } else { (receiver, hasRestarted) = (IdleListReceiver(), true) }
            }
            for number in 0..<6 as Range<UInt64> {
                let closed = receiver.closed(key(number), applied: slot(.max / 4)).timestamp
                guard closed > .zero else { continue }
                let since = stated[closed]?[number]
                #expect(since != nil, "\(number) at \(closed.milliseconds)")
                let before = slot((since ?? 1) - 1)
                #expect(
                    receiver.closed(key(number), applied: before).timestamp == .zero,
                    "\(number) at \(closed.milliseconds)"
                )
            }
        }
        if hasRestarted { relist(301) }
        while sender.acknowledged < sender.generation {
            receiver.receive(sender.update(closed: stamp(1_000), changesMax: 3), madeAfter: 7)
            sender.acknowledge(receiver.generation)
        }
        receiver.receive(sender.update(closed: stamp(1_000), changesMax: 3), madeAfter: 7)
        for number in 0..<6 as Range<UInt64> {
            let expected = listed[number] == nil ? Timestamp.zero : stamp(1_000)
            #expect(receiver.closed(key(number), applied: slot(.max / 4)).timestamp == expected)
        }
    }
}
