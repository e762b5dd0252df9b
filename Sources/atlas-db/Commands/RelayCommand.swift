internal import ArgumentParser
internal import AtlasRelay
internal import NIOCore
internal import NIOPosix
internal import UnixSignals
internal import AtlasConsole

/// `atlas-db relay`: distance between nodes on one machine.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Relay TCP connections as if over a distance.",
        discussion: """
            Each link listens on an address of this machine and passes connections on to its target, later, slower or \
            not at all. When all links listen, a line of JSON says on which ports. Then each line of standard input is \
            a command, answered with a line on standard output. It ends with standard input, or with SIGTERM or SIGINT.

            Commands:
              {"op":"set","link":"a-b","delay_ms":40,"jitter_ms":2,"rate":1000000}
                  for bytes from now on; what is left out stays
              {"op":"stop","link":"a-b"}    hold all bytes; nothing is lost
              {"op":"open","link":"a-b"}    let them go on
              {"op":"drop","link":"a-b","direction":"backward"}
                  half-open: bytes disappear, connections stay
              {"op":"cut","link":"a-b"}     reset connections, new ones too
              {"op":"heal","link":"a-b"}    end cut, stop and drop
              {"op":"add","link":"c","listen":"127.0.0.1:0","target":"[::1]:9"}
              {"op":"remove","link":"c"}
              {"op":"stats"}

            A link is a name or a pattern such as "us-*"; "links":[...] takes several. The direction is forward \
            (towards the target), backward or both; set, stop and open mean both if it is left out. The rate is in \
            bytes per second, null for no limit. A line that cannot be carried out is answered with {"error":"..."} \
            and changes nothing.

            Example:
              atlas-db relay --link "a-b=127.0.0.1:0>127.0.0.1:9001" --delay-ms 40 --jitter-ms 2
            """
    )

    @Option(
        help: ArgumentHelp(
            "A link, as NAME=LISTEN>TARGET; may be given several times. Port 0 chooses a free one.",
            valueName: "link"
        )
    )
    var link: [String] = []
    @Option(help: ArgumentHelp("Delay of every --link, one way, in milliseconds.", valueName: "ms"))
    var delayMs: Double = 0
    @Option(help: ArgumentHelp("Up to this is added to the delay, in milliseconds.", valueName: "ms"))
    var jitterMs: Double = 0
    @Option(
        help: ArgumentHelp("Bytes per second of every --link, each way; no limit if not given.", valueName: "bytes")
    )
    var rate: Int?

    func run() async throws {
        let links = try parseLinks()
        // Before anything is begun that has to be ended.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let relay = Relay(group: MultiThreadedEventLoopGroup.singleton)
        let session = RelaySession(relay)
        do {
            Console.write(try await session.start(links).compact + "\n")
        } catch let error as RelayError {
            throw CommandFailure(error)
        }
        await untilEnded(session, signals)
        await relay.close()
    }

    private func parseLinks() throws -> [RelayLink] {
        var condition = LinkCondition(rate: rate)
        do {
            condition.delay = try RelayRequest.time(delayMs, "--delay-ms")
            condition.jitter = try RelayRequest.time(jitterMs, "--jitter-ms")
            if let rate, rate < 1 { throw RelaySyntaxError("--rate must be at least 1") }
            return try link.map { try RelayLink(text: $0, condition: condition) }
        } catch let error as RelaySyntaxError {
            throw CommandFailure.usage(error.message)
        }
    }

    /// Serves standard input until it ends or a signal comes. A read cannot be called back: what is left of it then goes
    /// down with the process.
    private func untilEnded(_ session: RelaySession, _ signals: UnixSignalsSequence) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let serving = Task {
            await session.serve(StandardInputLines())
            end.finish()
        }
        let listening = Task {
            for await _ in signals { break }
            end.finish()
        }
        for await _ in ends {}
        serving.cancel()
        listening.cancel()
    }
}

extension CommandFailure {
    /// A link that could not be added.
    fileprivate init(_ error: RelayError) {
        let inUse = error.kind == .cannotListen
        self.init(inUse ? .unavailable : .usage, code: inUse ? "in_use" : "usage", error.description)
    }
}
