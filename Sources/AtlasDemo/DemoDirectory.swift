internal import Foundation
internal import Glibc
internal import AtlasConsole

/// Where the nodes of a demo keep what they have: a directory for each, and a list of them with their addresses, which
/// stay the same when the demo comes back to it.
package struct DemoDirectory: Sendable {
    package let path: String
    /// Whether it goes when the demo ends.
    let isTemporary: Bool
    /// By node.
    let ports: [Int]
    private let lock: DemoLock

    private static let listName = "nodes"
    private static let temporaryPrefix = "atlas-demo-"

    /// - Parameter path: `nil`: a temporary directory.
    package init(_ path: String?, _ topology: DemoTopology) throws {
        let names = topology.nodes.map(\.name)
        isTemporary = path == nil
        let temporary = FileManager.default.temporaryDirectory.appendingPathComponent(Self.temporaryPrefix).path
        DemoLock.removeAbandoned(temporary)
        self.path = URL(fileURLWithPath: path ?? "\(temporary)\(UUID())").standardizedFileURL.path
        let list = self.path + "/" + Self.listName
        if let text = try? String(contentsOfFile: list, encoding: .utf8) {
            ports = try Self.ports(text, names, self.path)
            lock = try Self.lock(self.path)
            for port in ports where !LoopbackPort.isFree(port) {
                throw CommandFailure(
                    .unavailable,
                    code: "in_use",
                    "port \(port), which a node of the demo in \(self.path) has, is in use by another program"
                )
            }
            return
        }
        do {
            try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
            guard try FileManager.default.contentsOfDirectory(atPath: self.path).isEmpty else {
                throw CommandFailure.usage("\(self.path) holds something else than a demo; give an empty directory")
            }
            lock = try Self.lock(self.path)
            ports = LoopbackPort.choose(names.count)
            let lines = zip(names, ports).map { "\($0) \($1)\n" }
            try FileBytes.write(Array(lines.joined().utf8), toFile: list)
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure.usage("cannot use \(self.path): \(error.localizedDescription)")
        }
    }

    private static func lock(_ path: String) throws -> DemoLock {
        do {
            if let lock = try DemoLock(path) { return lock }
        } catch {
            throw CommandFailure.usage("cannot use \(path): \(error)")
        }
        throw CommandFailure(.unavailable, code: "in_use", "another demo runs in \(path)")
    }

    private static func ports(_ text: String, _ names: [String], _ path: String) throws(CommandFailure) -> [Int] {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        let ports = lines.compactMap { $0.count == 2 ? Int($0[1]) : nil }.filter { (1...65_535).contains($0) }
        guard ports.count == lines.count, lines.map({ String($0[0]) }) == names else {
            let list = lines.compactMap(\.first).joined(separator: ", ")
            throw .usage("\(path) holds a demo of other nodes (\(list)); give the same regions, or another directory")
        }
        return ports
    }

    func nodeDirectory(_ name: String) -> String { path + "/" + name }
    func configurationFile(_ name: String) -> String { nodeDirectory(name) + "/atlas.yaml" }
    func logFile(_ name: String) -> String { nodeDirectory(name) + "/node.log" }

    /// Once no node runs any more.
    package func removeIfTemporary() {
        if isTemporary { try? FileManager.default.removeItem(atPath: path) }
    }
}

/// Ports of 127.0.0.1.
private enum LoopbackPort {
    /// Below those that Linux gives to sockets that ask for any: so that nobody gets one by chance while its node is down.
    private static let range = 20_000..<32_000

    static func choose(_ count: Int) -> [Int] {
        var ports: Set<Int> = []
        while ports.count < count {
            let port = Int.random(in: range)
            if isFree(port) { ports.insert(port) }
        }
        return Array(ports)
    }

    static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // As a node does: the remains of old connections do not count.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
