import AtlasCore
import Testing
import AtlasTypes

/// The window against a dictionary.
struct EntryWindowTests {
    @Test func agreesWithADictionary() {
        for seed in 0..<50 {
            var random = Random(seed: UInt64(seed))
            var base: UInt64 = UInt64(random.below(20))
            var model: [UInt64: Entry] = [:]
            var window = EntryWindow(base: slot(base))
            for step in 0..<400 {
                let number = base + UInt64(random.below(30))
                if random.chance(70) {
                    let entry = Entry(
                        slot: slot(number),
                        ballot: ballot(UInt64(step), 1),
                        stamp: stamp(1),
                        payload: .noOperation
                    )
                    window.store(entry)
                    if number > base { model[number] = entry }
                } else if random.chance(30) {
                    let through = random.chance(20) ? number : base + UInt64(random.below(4))
                    window.drop(through: slot(through))
                    base = max(base, through)
                    model = model.filter { $0.key > base }
                }
                check(window, base, model, &random)
            }
        }
    }

    private func check(_ window: EntryWindow, _ base: UInt64, _ model: [UInt64: Entry], _ random: inout Random) {
        #expect(window.base == slot(base))
        #expect(window.last.rawValue >= (model.keys.max() ?? base))
        for number in (base > 3 ? base - 3 : 0)...(base + 35) {
            #expect(window[slot(number)] == model[number])
        }
        let above = UInt64(random.below(Int(base) + 40))
        let through = UInt64(random.below(Int(base) + 40))
        let expected = model.filter { $0.key > above && $0.key <= through }.sorted { $0.key < $1.key }.map(\.value)
        #expect(window.run(above: slot(above), through: slot(through)) == expected)
    }
}
