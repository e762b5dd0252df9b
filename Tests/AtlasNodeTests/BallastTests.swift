import Foundation
import Glibc
import Testing

@testable import AtlasNode
import AtlasTestSupport
import AtlasConfiguration

@Suite struct BallastTests {
    private func ballast(_ directory: TemporaryDirectory) -> Ballast {
        var config = NodeConfig()
        config.dataDirectory = directory.path
        config.storage.diskReserve = 64 << 10
        return Ballast(config)
    }

    private func size(_ path: String) -> Int? {
        var info = stat()
        return stat(path, &info) == 0 ? Int(info.st_size) : nil
    }

    @Test func itIsFilledForItsUserAndGivenUp() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/ballast"
        ballast(directory).fill(free: 0)
        #expect(size(path) == nil)
        ballast(directory).fill(free: .max)
        #expect(size(path) == 16 << 10)
        var info = stat()
        #expect(stat(path, &info) == 0 && info.st_mode & 0o077 == 0)
        #expect(ballast(directory).release())
        #expect(size(path) == nil)
        #expect(!ballast(directory).release())
    }

    /// What a link names, or has another name, is not the node's to change.
    @Test func nothingElseIsTruncatedOrRemoved() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/ballast"
        let precious = try directory.file("precious".utf8, name: "precious")
        #expect(symlink(precious, path) == 0)
        ballast(directory).fill(free: .max)
        #expect(!ballast(directory).release())
        #expect(size(precious) == 8)
        var info = stat()
        #expect(lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFLNK)
        // A second name of the same file.
        unlink(path)
        #expect(link(precious, path) == 0)
        ballast(directory).fill(free: .max)
        #expect(size(precious) == 8)
        #expect(size(path) == 16 << 10)
    }
}

@Suite struct DataDirectoryTests {
    @Test func itIsForItsUser() throws {
        let parent = TemporaryDirectory()
        let before = umask(0)
        defer { umask(before) }
        let directory = try DataDirectory(path: parent.path + "/deep/data")
        func mode(_ path: String) -> mode_t? {
            var info = stat()
            return stat(path, &info) == 0 ? info.st_mode & 0o777 : nil
        }
        for path in [parent.path + "/deep", directory.path, directory.logPath, directory.storePath] {
            #expect(mode(path) == 0o700, "\(path)")
        }
        // With a lock that others may read, they can lock it.
        #expect(mode(directory.path + "/LOCK") == 0o600)
    }

    @Test func aLockOfAnEarlierVersionIsClosedToOthers() throws {
        let parent = TemporaryDirectory()
        let lock = try parent.file("".utf8, name: "LOCK")
        chmod(lock, 0o644)
        let directory = try DataDirectory(path: parent.path)
        var info = stat()
        #expect(stat(directory.path + "/LOCK", &info) == 0 && info.st_mode & 0o777 == 0o600)
    }
}
