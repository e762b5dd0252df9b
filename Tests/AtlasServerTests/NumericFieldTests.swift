import AtlasCore
import AtlasWire
import AtlasRPC
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import AtlasServer
import AtlasTypes
import AtlasTestSupport
import AtlasServices
import AtlasConfiguration

/// No number in a request ends the process: each numeric field of each request of each service, found in the proto
/// sources, takes the values around which a width or a unit overflows.
struct NumericFieldTests {
    /// The ends of each width, and of each unit that times are turned into.
    static let boundaries: [UInt64] = {
        var values: Set<UInt64> = [0, 1, 2, .max, .max - 1]
        for bits in [31, 32, 43, 53, 63] as [UInt64] {
            for unit in [1, 1_000, 1_000_000, 1_000_000_000] as [UInt64] {
                let edge = (1 << bits) / unit
                values.formUnion([edge - 1, edge, edge + 1])
            }
        }
        for unit in [1_000, 1_000_000, 1_000_000_000] as [UInt64] {
            values.formUnion([.max / unit - 1, .max / unit, .max / unit + 1])
        }
        values.formUnion([RequestTranslation.ttlMax - 1, RequestTranslation.ttlMax, RequestTranslation.ttlMax + 1])
        // Negative ones.
        values.formUnion([UInt64(bitPattern: Int64(Int32.min)), UInt64(bitPattern: Int64(Int32.min) - 1)])
        return values.sorted()
    }()

    @Test func everyNumberOfEveryRequestIsAnswered() async throws {
        let source = try ProtoSource(["atlas/atlas.proto", "atlas/admin.proto", "grpc/health/v1/health.proto"])
        let directory = TemporaryDirectory()
        let server = try await start(directory)
        let run = Task { try await server.run() }
        let channel = RPCChannel(
            host: "127.0.0.1",
            port: server.address.port!,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next()
        )
        var fields = 0
        for method in source.methods {
            for field in numericFields(of: method.request, in: source) {
                fields += 1
                let messages = Self.boundaries.map {
                    base(method.request, in: source) + field.encoded($0, in: source)
                }
                _ = try await call(channel, method.path, messages)
                let get = base("GetRequest", in: source)
                let (status, answers) = try await call(channel, "/atlas.AtlasDB/Get", [get])[0]
                let name = field.names.joined(separator: ".")
                #expect(status.code == .ok && answers == 1, "after \(method.path) \(name)")
            }
        }
        #expect(fields >= 50, "the fields were found")
        await channel.close()
        run.cancel()
        _ = await run.result
    }

    private func start(_ directory: TemporaryDirectory) async throws -> Server {
        var config = AtlasConfiguration()
        config.node.address = HostPort(host: "127.0.0.1", port: 8080)
        config.node.dataDirectory = directory.path + "/data"
        config.node.transport.port = 0
        config.node.transport.eventLoops = 1
        config.node.storage.logSegmentSize = 1 << 20
        config.node.storage.diskReserve = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try await Server.start(config, logger: logger)
    }

    // MARK: Messages

    /// A numeric field, and the fields of messages that lead to it.
    private struct Place {
        var steps: [ProtoSource.Field]

        var names: [String] { steps.map(\.name) }

        /// Each message on the way is one that the server looks at.
        func encoded(_ value: UInt64, in source: ProtoSource) -> [UInt8] {
            let leaf = steps.last!
            var bytes = varint(leaf.number << 3 | (leaf.type == "fixed64" ? 1 : 0))
            bytes += leaf.type == "fixed64" ? withUnsafeBytes(of: value.littleEndian) { Array($0) } : varint(value)
            for step in steps.dropLast().reversed() {
                bytes = delimited(step.number, base(step.type, in: source) + bytes)
            }
            return bytes
        }
    }

    private func numericFields(of message: String, in source: ProtoSource) -> [Place] {
        source.messages[message]!.flatMap { field -> [Place] in
            if ProtoSource.numberTypes.contains(field.type) || source.enums.contains(field.type) {
                return [Place(steps: [field])]
            }
            if ProtoSource.otherTypes.contains(field.type) { return [] }
            return numericFields(of: field.type, in: source).map { Place(steps: [field] + $0.steps) }
        }
    }

    // MARK: Calls

    /// Makes several calls at once; each ends with a status and a number of answers.
    private func call(
        _ channel: RPCChannel,
        _ path: String,
        _ messages: [[UInt8]]
    ) async throws -> [(status: RPCStatus, answers: Int)] {
        typealias End = (status: RPCStatus, answers: Int)
        return try await channel.eventLoop.flatSubmit { () -> EventLoopFuture<[End]> in
            let ends = messages.map { message -> EventLoopFuture<End> in
                let end = channel.eventLoop.makePromise(of: End.self)
                let stream = channel.openStream(path, timeout: .seconds(10), handler: Answers(end))
                stream.send(RPCMessage(bytes: message))
                stream.halfClose()
                return end.futureResult
            }
            return EventLoopFuture.whenAllSucceed(ends, on: channel.eventLoop)
        }.get()
    }

    private final class Answers: RPCClientStreamHandler {
        private let end: EventLoopPromise<(status: RPCStatus, answers: Int)>
        private var count = 0

        init(_ end: EventLoopPromise<(status: RPCStatus, answers: Int)>) {
            self.end = end
        }

        func headers(_ metadata: RPCMetadata) {}
        func received(_ message: ByteBuffer) { count += 1 }
        func finished(_ status: RPCStatus) { end.succeed((status, count)) }
        func writable() {}
    }
}

/// What a message has so that the server looks at its numbers: a key, and where it needs one, a kind.
private func base(_ message: String, in source: ProtoSource) -> [UInt8] {
    let fields = source.messages[message]!
    func number(_ name: String) -> UInt64? { fields.first { $0.name == name }?.number }
    var bytes: [UInt8] = []
    if let key = number("key") { bytes += delimited(key, Array("k".utf8)) }
    switch message {
    case "Operation": bytes += varint(number("type")! << 3) + varint(UInt64(Atlas_Operation.TypeEnum.put.rawValue))
    case "SessionCall":
        bytes += varint(number("id")! << 3) + [7] + delimited(number("get")!, base("GetRequest", in: source))
    default: break
    }
    return bytes
}

private func varint(_ value: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(value)
    return writer.bytes
}

private func delimited(_ field: UInt64, _ content: [UInt8]) -> [UInt8] {
    varint(field << 3 | 2) + varint(UInt64(content.count)) + content
}
