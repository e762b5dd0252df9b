import AtlasCore
import Testing
import AtlasTypes

struct KeyTests {
    @Test func orderIsThatOfUnsignedBytes() {
        var random = Random(seed: 1)
        for _ in 0..<20_000 {
            // Long common prefixes, so that the comparison of eight bytes at a time meets its ends.
            let stem = random.bytes(upTo: 20)
            let left = stem + random.bytes(upTo: 3)
            let right = random.chance(20) ? left : stem + random.bytes(upTo: 3)
            #expect((Key(left) < Key(right)) == left.lexicographicallyPrecedes(right), "\(left) \(right)")
            #expect((Key(left) == Key(right)) == (left == right))
            let order = left.withUnsafeBytes { left in right.withUnsafeBytes { compareBytes(left, $0) } }
            #expect(order.signum() == (left == right ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1))
        }
    }

    @Test func successorIsNext() {
        let key = Key([1, 0xFF])
        #expect(key < key.successor)
        #expect(key.successor.bytes == [1, 0xFF, 0])
    }

    @Test func prefixRangesHoldExactlyTheirKeys() {
        var random = Random(seed: 2)
        func letters(_ count: Int) -> [UInt8] {
            (0..<random.below(count + 1)).map { _ in [0, 1, 0xFE, 0xFF][random.below(4)] }
        }
        for _ in 0..<20_000 {
            let prefix = letters(3)
            let key = Key(letters(5))
            #expect(KeyRange(prefix: prefix).contains(key) == key.bytes.starts(with: prefix), "\(prefix) \(key.bytes)")
        }
        #expect(KeyRange(prefix: []) == .all)
        #expect(KeyRange(prefix: [0xFF, 0xFF]).end == nil)
        #expect(KeyRange(prefix: [1, 0xFF]).end == Key([2]))
    }

    @Test func intersectionsHoldWhatBothHold() {
        var random = Random(seed: 6)
        func draw() -> KeyRange {
            let end = random.chance(30) ? nil : Key([UInt8(random.below(6))])
            return KeyRange(start: Key(random.chance(30) ? [] : [UInt8(random.below(6))]), end: end)
        }
        for _ in 0..<500 {
            let (left, right) = (draw(), draw())
            let both = left.intersection(right)
            for byte in 0..<7 as Range<UInt8> {
                let key = Key([byte])
                #expect(both.contains(key) == (left.contains(key) && right.contains(key)), "\(left) \(right)")
            }
        }
    }

    @Test func rangesAreHalfOpen() {
        let range = KeyRange(start: key("b"), end: key("d"))
        #expect(!range.contains(key("a")) && range.contains(key("b")))
        #expect(range.contains(key("c")) && !range.contains(key("d")))
        #expect(!range.isEmpty && !KeyRange.all.isEmpty)
        #expect(KeyRange(start: key("b"), end: key("b")).isEmpty)
        #expect(KeyRange(start: key("b"), end: key("a")).isEmpty)
    }
}

struct BallotTests {
    @Test func orderIsCounterThenNodeThenHandoff() {
        var random = Random(seed: 3)
        for _ in 0..<5_000 {
            func draw() -> (UInt64, UInt64, UInt32) {
                (UInt64(random.below(3)), UInt64(random.below(3)), UInt32(random.below(3)))
            }
            func make(_ parts: (UInt64, UInt64, UInt32)) -> Ballot {
                Ballot(
                    counter: parts.0,
                    node: nodeID(parts.1),
                    handoff: parts.2,
                    owner: parts.2 > 0 ? nodeID(9) : nil
                )
            }
            let left = draw()
            let right = draw()
            #expect((make(left) < make(right)) == (left < right))
            #expect((make(left) == make(right)) == (left == right))
        }
        #expect(Ballot.zero < ballot(0, 1) && Ballot.zero < ballot(1, 0))
    }

    @Test func ownerFollowsHandoff() {
        #expect(ballot(3, 7).owner == nodeID(7))
        #expect(Ballot(counter: 3, node: nodeID(7), handoff: 1, owner: nodeID(8)).owner == nodeID(8))
    }

    @Test func namesAreHashedAsFNV1a() {
        #expect(NodeID(name: "").rawValue == 0xcbf2_9ce4_8422_2325)
        #expect(NodeID(name: "a").rawValue == 0xaf63_dc4c_8601_ec8c)
        #expect(NodeID(name: "foobar").rawValue == 0x8594_4171_f739_67e8)
    }
}

struct ClockTests {
    @Test func timestampsHoldMillisecondsAndCounter() {
        let time = stamp(5, 3)
        #expect(time.milliseconds == 5)
        #expect(time.rawValue == 5 << 20 | 3)
        #expect(time.minus(milliseconds: 2) == stamp(3, 3))
        #expect(time.minus(milliseconds: 6) == .zero)
        #expect(time.minus(milliseconds: .max) == .zero)
        #expect(Timestamp.max.milliseconds == Timestamp.millisecondsMax)
    }

    /// Whatever the wall clock does, each reading is above all that were given out or taken over before.
    @Test func readingsAscend() {
        var random = Random(seed: 4)
        var clock = HybridClock(restoredBound: stamp(1_000))
        var highest = stamp(1_000)
        var wall: UInt64 = 900
        for _ in 0..<20_000 {
            wall = random.chance(5) ? 500 + UInt64(random.below(2_000)) : wall + UInt64(random.below(2))
            switch random.below(4) {
            case 0:
                let count = UInt64(1 + random.below(5))
                let first = clock.tick(wall: wall, count: count)
                #expect(first > highest && first.milliseconds >= min(wall, first.milliseconds))
                highest = first.advanced(by: count - 1)
            case 1:
                let reading = clock.read(wall: wall)
                #expect(reading >= highest && reading.milliseconds >= wall)
                highest = reading
            case 2:
                let peer = stamp(wall + UInt64(random.below(1_200)))
                let before = clock.last
                if clock.merge(peer, wall: wall) {
                    highest = max(highest, peer)
                } else {
                    #expect(peer.milliseconds > wall + HybridClock.offsetMaxMilliseconds && clock.last == before)
                }
            default:
                let peer = stamp(wall + UInt64(random.below(50)))
                clock.advance(past: peer)
                highest = max(highest, peer)
            }
            #expect(clock.last == highest)
        }
    }

    @Test func theBoundStaysAheadOfTheClock() {
        var clock = HybridClock(restoredBound: stamp(1_000))
        var bounds = [clock.nextBound(), clock.nextBound()]
        #expect(bounds == [stamp(2_000), nil], "a restored clock stands at its bound")
        for wall in [1_499, 1_500] as [UInt64] {
            _ = clock.read(wall: wall)
            bounds.append(clock.nextBound())
        }
        clock.advance(past: stamp(9_000, 7))
        bounds.append(clock.nextBound())
        #expect(bounds[2...] == [nil, stamp(2_500), stamp(10_000)])
        #expect(clock.bound == stamp(10_000))
        // Restarted from the bound, nothing that was read before comes again.
        var restarted = HybridClock(restoredBound: clock.bound)
        let first = restarted.tick(wall: 0)
        #expect(first > clock.last)
    }

    /// A machine's wall clock may say anything.
    @Test func aClockBefore1970OrBeyond2248ShowsTheNearestTimeThatAStampHolds() {
        #expect(Instant.wall(seconds: 1_700_000_000, nanoseconds: 999_999_999) == 1_700_000_000_999)
        #expect(Instant.wall(seconds: 0, nanoseconds: 1_000_000) == 1)
        for seconds in [-1, .min] { #expect(Instant.wall(seconds: seconds, nanoseconds: 999_999_999) == 0) }
        for seconds in [Int(Timestamp.millisecondsMax / 1_000), 1 << 40, .max] {
            #expect(Instant.wall(seconds: seconds, nanoseconds: 999_999_999) == Timestamp.millisecondsMax)
        }
    }

    @Test func absurdWallClocksDoNotTrap() {
        var clock = HybridClock(restoredBound: .zero)
        let isMerged = clock.merge(stamp(1), wall: .max)
        #expect(isMerged)
        let reading = clock.read(wall: .max)
        #expect(reading == stamp(Timestamp.millisecondsMax))
        let bound = clock.nextBound()
        #expect(bound == .max)
        let next = clock.tick(wall: 0)
        #expect(next > reading)
    }
}

struct RequestIDTests {
    @Test func isAUUIDOfVersionSeven() {
        var random = Random(seed: 5)
        for _ in 0..<1_000 {
            let time = random.next() >> 16
            let id = RequestID(milliseconds: time, random: (random.next(), random.next()))
            #expect(id.isWellFormed && !id.isNone && id.milliseconds == time)
        }
        #expect(!RequestID.none.isWellFormed && RequestID.none.isNone)
        #expect(!RequestID(high: 0x4000, low: 0b10 << 62).isWellFormed)
        #expect(!RequestID(high: 0x7000, low: 0b11 << 62).isWellFormed)
    }

    @Test func isAcceptedWithinItsWindow() {
        let id = RequestID(milliseconds: 100_000, random: (0, 0))
        let window: UInt64 = 60_000
        #expect(id.isWithin(window, of: stamp(100_000)))
        #expect(id.isWithin(window, of: stamp(90_000)), "a client's clock runs a sixth of the window ahead")
        #expect(!id.isWithin(window, of: stamp(89_999)))
        #expect(id.isWithin(window, of: stamp(150_000)))
        #expect(!id.isWithin(window, of: stamp(150_001)))
    }
}
