internal import AtlasRPC
internal import Benchmark
internal import Dispatch
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A call over loopback, client and server in this process, each with an event loop of its own.
func rpcBenchmarks() {
    let echo = Lazy { Echo() }
    for inFlight in [1, 64] {
        Benchmark("RPC: unary echo of 272 bytes, \(inFlight) in flight") { benchmark in
            let echo = echo.value
            benchmark.measureBatches(of: inFlight) { echo.call(inFlight) }
        }
    }
}

private final class Echo {
    private static let path = "/benchmark.Echo/Echo"
    private let channel: RPCChannel
    private let server: RPCServer
    private let message = RPCMessage(ByteBuffer(repeating: 1, count: 272))

    init() {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let loops = Array(group.makeIterator())
        var configuration = RPCServerConfiguration()
        configuration.streamsMax = 1_000
        server = RPCServer(
            methods: [.unary(Self.path) { call, message in call.respond(message) }],
            configuration: configuration,
            group: loops[0]
        )
        let port = Box(0)
        let server = server
        let started = DispatchSemaphore(value: 0)
        Task {
            port.value.store(try! await server.start(host: "127.0.0.1", port: 0).port!, ordering: .releasing)
            started.signal()
        }
        started.wait()
        channel = RPCChannel(host: "127.0.0.1", port: port.value.load(ordering: .acquiring), eventLoop: loops[1])
    }

    /// Makes calls at once, and waits for all.
    func call(_ count: Int) {
        let left = Box(count)
        let done = DispatchSemaphore(value: 0)
        for _ in 0..<count {
            channel.unary(Self.path, message) { result in
                guard case .success = result else { fatalError("a call failed: \(result)") }
                if left.value.subtract(1, ordering: .relaxed).newValue == 0 { done.signal() }
            }
        }
        done.wait()
    }
}

private final class Box: Sendable {
    let value: Atomic<Int>

    init(_ value: Int) {
        self.value = Atomic(value)
    }
}
