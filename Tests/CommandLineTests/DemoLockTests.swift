import Foundation
import Testing

@testable import atlas_db
@testable import AtlasDemo

@Suite("The lock of a demo's directory")
struct DemoLockTests {
    @Test("Directories of demos that are gone are removed, and nothing else")
    func abandoned() throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent("demo-lock-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: parent) }
        for name in ["demo-gone", "demo-running", "demo-other", "gone"] {
            try FileManager.default.createDirectory(atPath: "\(parent)/\(name)", withIntermediateDirectories: true)
        }
        for name in ["demo-gone", "gone"] { try Data().write(to: URL(fileURLWithPath: "\(parent)/\(name)/LOCK")) }
        let running = try #require(try DemoLock("\(parent)/demo-running"))
        #expect(try DemoLock("\(parent)/demo-running") == nil)
        DemoLock.removeAbandoned("\(parent)/demo-")
        let left = try FileManager.default.contentsOfDirectory(atPath: parent).sorted()
        #expect(left == ["demo-other", "demo-running", "gone"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(parent)/demo-running") == ["LOCK"])
        withExtendedLifetime(running) {}
    }
}
