import AtlasRPC
import Glibc
import InteropService
import NIOCore
import NIOPosix

// Serves the interop methods on a port of loopback that it prints, until its standard input ends.
let server = RPCServer(
    methods: InteropService.methods,
    configuration: RPCServerConfiguration(),
    group: MultiThreadedEventLoopGroup.singleton
)
let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 0
let address = try await server.start(host: "127.0.0.1", port: port)
// Not `print`, which keeps it back when the output is a file.
let line = "listening on \(address.port ?? 0)\n"
_ = line.withCString { write(STDOUT_FILENO, $0, strlen($0)) }
while readLine() != nil {}
await server.close(within: .seconds(1))
