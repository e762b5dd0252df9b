import Testing

@testable import AtlasCore
import AtlasTypes

/// The marks against all that were ever said.
struct FreshMarksTests {
    @Test func aHigherBallotAtALowerSlotSaysMore() {
        var marks = FreshMarks()
        func add(_ slot: UInt64, _ counter: UInt64) -> Bool {
            marks.insert(FreshMark(ballot: ballot(counter, 1), slot: AtlasCoreTests.slot(slot)))
        }
        let isNew = [add(5, 2), add(5, 2), add(5, 1), add(6, 2), add(8, 3), add(2, 1), add(5, 3)]
        #expect(isNew == [true, false, false, false, true, true, true])
        #expect(Notation.text(marks) == "2@1.1,5@3.1")
        #expect(marks.ruleOut(slot(5), acceptedAt: ballot(2, 9)))
        #expect(!marks.ruleOut(slot(5), acceptedAt: ballot(3, 1)), "its own")
        #expect(!marks.ruleOut(slot(4), acceptedAt: ballot(2, 1)))
        #expect(marks.ruleOut(slot(4), acceptedAt: ballot(0, 1)))
        #expect(!marks.ruleOut(slot(1), acceptedAt: .zero))
    }

    @Test(arguments: 0..<40)
    func nothingThatMattersIsForgotten(seed: Int) throws {
        var random = Random(seed: UInt64(seed))
        var all: [FreshMark] = []
        var marks = FreshMarks()
        var settled: UInt64 = 0
        for _ in 0..<60 {
            if random.chance(20) {
                settled += UInt64(random.below(2))
                marks.settle(through: slot(settled))
            } else if random.chance(20) {
                var other = FreshMarks()
                for _ in 0..<3 { add(&other) }
                marks.formUnion(other)
            } else {
                add(&marks)
            }
            var reader = ByteReader(encoded(marks))
            #expect(try FreshMarks(from: &reader) == marks)
            // Below the commit point nothing is asked about any more.
            for number in (settled + 1)...(settled + 12) {
                for counter in 0...12 as ClosedRange<UInt64> {
                    let entry = (slot: slot(number), ballot: ballot(counter, UInt64(random.below(3))))
                    let expected = all.contains { $0.ballot > entry.ballot && $0.slot <= entry.slot }
                    #expect(marks.ruleOut(entry.slot, acceptedAt: entry.ballot) == expected)
                }
            }
        }

        func add(_ marks: inout FreshMarks) {
            let mark = FreshMark(
                ballot: ballot(UInt64(random.below(12)), UInt64(random.below(3))),
                slot: slot(settled + UInt64(random.below(10)))
            )
            all.append(mark)
            marks.insert(mark)
        }
    }

    private func encoded(_ marks: FreshMarks) -> [UInt8] {
        var writer = ByteWriter()
        marks.encode(into: &writer)
        return writer.bytes
    }
}
