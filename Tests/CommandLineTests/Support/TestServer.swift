import Foundation
import Glibc
import Testing
import AtlasTestSupport

/// A node on a free port with a directory of its own, which goes when the server does.
final class TestServer {
    let address: String
    let process: CommandProcess
    private let directory: TemporaryDirectory?
    let dataDirectory: String

    /// Small segments: preparing large ones takes time that tests do not need to spend.
    private static let settings = ["storage.log_segment_size=16MiB", "logging.output=stderr", "logging.format=text"]

    static func arguments(address: String, dataDirectory: String, _ more: [String] = []) -> [String] {
        ["start", "--address", address, "--data-dir", dataDirectory] + settings.flatMap { ["--set", $0] } + more
    }

    /// - Parameter dataDirectory: an existing one; nil: a new one.
    init(dataDirectory existing: String? = nil, _ more: [String] = []) async throws {
        directory = existing == nil ? TemporaryDirectory() : nil
        let path = existing ?? directory!.path + "/data"
        dataDirectory = path
        address = "127.0.0.1:\(try freePort())"
        process = try CommandProcess(Self.arguments(address: address, dataDirectory: path, more))
        let process = process
        let address = address
        let listens: Bool? = await within(30) {
            if process.poll() != nil { return false }
            return process.errors.contains("listens on \(address)") ? true : nil
        }
        try #require(listens == true, "the server did not start: \(process.errors)")
    }

    /// Runs a command against the server.
    func run(_ arguments: String..., input: [UInt8] = []) async throws -> CommandResult {
        try await CommandLineTests.run(arguments + ["--endpoint", address], input: input)
    }

    /// Runs a command that has to succeed.
    @discardableResult
    func succeed(_ arguments: String..., input: [UInt8] = []) async throws -> CommandResult {
        let result = try await CommandLineTests.run(arguments + ["--endpoint", address], input: input)
        try #require(result.status == 0, "\(arguments): \(result.errors)")
        return result
    }

    /// Ends the server as an operator would.
    func stop() async throws {
        process.send(SIGTERM)
        #expect(try await process.wait() == .exit(0), "\(process.errors)")
    }
}

/// A port of 127.0.0.1 that nobody listens on.
func freePort() throws -> UInt16 {
    let listener = try Listener()
    return listener.port
}

/// Something that listens on a port of 127.0.0.1.
final class Listener {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let code = withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return bind(descriptor, pointer, length) + listen(descriptor, 1) + getsockname(descriptor, pointer, &length)
        }
        try #require(code == 0, "cannot listen on 127.0.0.1")
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        close(descriptor)
    }
}
