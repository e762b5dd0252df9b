import Testing

@testable import AtlasCore
import AtlasTypes

struct TabletDirectoryTests {
    private func config(_ text: Substring) -> TabletConfig {
        (try? Notation.config(text)) ?? AtlasCoreTests.config(nodesByRegion: [1])
    }

    @Test func theLatestEpochHoldsAKey() {
        var directory = TabletDirectory()
        directory.insert(config("1@1[..]{1:1}"))
        #expect(directory.config(holding: key("x"))?.epoch == 1)
        // One half of a split: the other one is still looked for where it was.
        directory.insert(config("2@2[m..]{2:1}"))
        #expect(directory.config(holding: key("x"))?.tablet == TabletID(rawValue: 2))
        #expect(directory.config(holding: key("a"))?.epoch == 1)
        directory.insert(config("1@2[..m]{1:1}"))
        #expect(directory.config(holding: key("a"))?.epoch == 2)
        #expect(directory.config(before: nil)?.tablet == TabletID(rawValue: 2))
        #expect(directory.config(before: key("m"))?.key == TabletKey(tablet: .first, epoch: 2))
        // What comes late replaces nothing.
        directory.insert(config("1@1[..]{1:1}"))
        #expect(directory.config(holding: key("x"))?.epoch == 2)
        directory.insert(config("1@3[..]{1:1}"))
        #expect(directory.configs == [config("1@3[..]{1:1}")])
        #expect(TabletDirectory().config(holding: key("a")) == nil)
    }

    @Test func ownersAreHints() {
        var directory = TabletDirectory()
        let first = config("1@1[..]{1:1,2:1}")
        directory.noteOwner(nodeID(2), of: first.key)
        #expect(directory.owner(of: first.key) == nil, "of a tablet that is unknown")
        directory.insert(first)
        directory.noteOwner(nodeID(2), of: first.key)
        directory.insert(first)
        #expect(directory.owner(of: first.key) == nodeID(2))
        #expect(directory.knows(newerThan: TabletKey(tablet: .first, epoch: 0)))
        #expect(!directory.knows(newerThan: first.key))
    }

    @Test func rangesIncludeReachAndOverlap() {
        let all = KeyRange.all
        let left = KeyRange(start: Key([]), end: key("m"))
        let right = KeyRange(start: key("m"), end: nil)
        #expect(all.includes(left) && all.includes(right) && all.includes(all))
        #expect(!left.includes(all) && !right.includes(left) && !left.includes(KeyRange(start: key("b"), end: nil)))
        #expect(!left.overlaps(right) && left.overlaps(all) && right.overlaps(KeyRange(start: key("l"), end: key("n"))))
        #expect(left.reaches(key("m")) && left.reaches(key("b")) && !left.reaches(key("n")) && !left.reaches(nil))
        #expect(right.reaches(nil) && !right.reaches(key("m")) && right.reaches(key("n")))
    }
}
