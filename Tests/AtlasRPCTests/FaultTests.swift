import AtlasRPC
import NIOCore
import NIOPosix
import Testing

/// What the server ends by itself gets the status that `describe` gives it.
@Suite(.timeLimit(.minutes(1))) struct FaultTests {
    /// One call, and the fault that ends it.
    struct Case: Sendable, CustomTestStringConvertible {
        let fault: RPCFault
        var isHandled = false
        var path = "/test/Echo"
        var timeout: String?
        /// The call's DATA; nil if it has none.
        var data: ByteBuffer? = RawClient.message("x")
        var endStream = true

        var testDescription: String { "\(fault) on \(path)" }
    }

    private static func message(flag: UInt8 = 0, length: Int? = nil, count: Int) -> ByteBuffer {
        var buffer = ByteBuffer(integer: flag)
        buffer.writeInteger(UInt32(length ?? count))
        buffer.writeRepeatingByte(0, count: count)
        return buffer
    }

    private static func two(_ first: ByteBuffer, _ second: ByteBuffer) -> ByteBuffer {
        var both = first
        both.writeImmutableBuffer(second)
        return both
    }

    private static let grow = {
        var buffer = RawClient.message("12345678")
        buffer.setInteger(2000, at: 5)
        return buffer
    }()

    static let cases: [Case] = [
        Case(fault: .noSuchMethod(path: "/test/None"), path: "/test/None"),
        Case(fault: .malformedTimeout("soon"), timeout: "soon"),
        Case(fault: .deadlinePassed, timeout: "0n"),
        Case(fault: .deadlinePassed, timeout: "30m", data: nil, endStream: false),
        Case(fault: .deadlinePassed, isHandled: true, path: "/test/Never", timeout: "200m"),
        Case(fault: .requestTimeout, data: nil, endStream: false),
        Case(fault: .messageTooLarge(bytes: 1001, max: 1000), data: message(count: 1001)),
        Case(fault: .messageTooLarge(bytes: 1001, max: 1000), path: "/test/Stream", data: message(count: 1001)),
        Case(
            fault: .messageTooLarge(bytes: 1001, max: 1000),
            isHandled: true,
            path: "/test/Stream",
            data: two(message(count: 1), message(count: 1001))
        ),
        Case(fault: .compressedMessage, data: message(flag: 1, count: 1)),
        Case(fault: .malformedPrefix(9), data: message(flag: 9, count: 1)),
        Case(fault: .truncatedMessage, data: message(length: 2, count: 1)),
        Case(fault: .noMessage, data: nil),
        Case(fault: .secondMessage, data: two(message(count: 1), message(count: 1))),
        Case(fault: .tooManyUnfinishedBytes, data: message(length: 1000, count: 900), endStream: false),
        Case(fault: .answerTooLarge(bytes: 2000, max: 1500), isHandled: true, path: "/test/Grow", data: grow),
        Case(fault: .tooManyAnswersWaiting, isHandled: true, data: message(count: 501)),
    ]

    /// Nor is a header sent back that is too large for the client.
    @Test func namesAreCut() {
        let long = String(repeating: "/é", count: 5000)
        #expect(RPCFault.noSuchMethod(path: long).status.message.utf8.count < 300)
        #expect(RPCFault.malformedTimeout(long).status.message.utf8.count < 300)
    }

    @Test(arguments: cases)
    func isDescribed(_ test: Case) async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.receiveMessageBytesMax = 1000
        configuration.limits.inboundBytesMax = 800
        configuration.limits.sendMessageBytesMax = 1500
        configuration.limits.outboundBytesMax = 500
        // Of two times that are over it is told at random which was the first.
        if case .requestTimeout = test.fault { configuration.requestTimeout = .milliseconds(400) }
        configuration.describe = { fault, isHandled in
            RPCStatus(.aborted, "\(fault.status) \(isHandled)", details: [1, 2, 3])
        }
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                let extra = test.timeout.map { [("grpc-timeout", $0)] } ?? []
                var bytes = RawFrame.headers(
                    1,
                    path: test.path,
                    extra: extra,
                    endStream: test.data == nil && test.endStream
                ).bytes
                if let data = test.data {
                    bytes.writeImmutableBuffer(RawFrame.data(1, data, endStream: test.endStream).bytes)
                }
                try await client.send(bytes)
                let trailers = try await client.trailers(of: 1)
                #expect(trailers["grpc-status"] == "10")
                #expect(trailers["grpc-message"] == "\(test.fault.status) \(test.isHandled)")
                #expect(trailers["grpc-status-details-bin"] == "AQID")
            }
        }
    }
}
