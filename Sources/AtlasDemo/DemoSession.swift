internal import AtlasClient
internal import AtlasConsole

/// The prompt: a command on each line, and its answer.
package struct DemoSession {
    private let stage: DemoStage
    private let topology: DemoTopology
    /// In which the prompt asks.
    private var region = 0

    package init(_ stage: DemoStage, _ topology: DemoTopology) {
        self.stage = stage
        self.topology = topology
    }

    /// Until `quit` or the end of standard input.
    package mutating func run() async throws {
        var lines = StandardInputLines()
        let echoes = !Terminal.isThere
        while !Task.isCancelled {
            let prompt = "\(topology.regions[region])> "
            if !echoes { try DemoOutput.write(prompt) }
            guard let line = await lines.next() else { break }
            guard case .text(let text) = line else {
                try DemoOutput.write("error: the line has more than \(StandardInputLines.lineBytesMax) bytes\n")
                continue
            }
            // A script's output reads like a conversation.
            if echoes { try DemoOutput.write("\(prompt)\(text)\n") }
            let answer: String
            do {
                guard let request = try DemoRequest(text, topology) else { continue }
                if request == .quit { return }
                answer = try await self.answer(request)
            } catch {
                answer = "error: \(Self.message(error))\n"
            }
            try DemoOutput.write(answer)
        }
        if !echoes { try DemoOutput.write("\n") }
    }

    /// In one line.
    static func message(_ error: any Error) -> String {
        let message =
            switch error {
            case let error as DemoError: error.message
            case let error as AtlasError: error.message
            default: CommandFailure(error).message
            }
        return message.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private mutating func answer(_ request: DemoRequest) async throws -> String {
        if let done = try await stage.perform(request, from: region) { return done + "\n" }
        switch request {
        case .use(let region):
            self.region = region
            return ""
        case .status:
            await stage.observer.refresh()
            return DemoScreen(view: await stage.observer.view()).text
        case .watch:
            guard Terminal.isThere else { throw DemoError("watch needs a terminal; status shows the same once") }
            await DemoWatch(stage, region: region).run()
            return ""
        case .wait(let time):
            try await Task.sleep(for: time)
            return ""
        case .help:
            return DemoRequest.helpText
        default:
            let begin = ContinuousClock.now
            do {
                return try await ask(request, try await stage.clients.client(of: region))
            } catch {
                throw DemoError("\(Self.message(error)); after \(DemoAnswer.time(ContinuousClock.now - begin))")
            }
        }
    }

    private func ask(_ request: DemoRequest, _ client: AtlasClient) async throws -> String {
        let answer = DemoAnswer(topology: topology)
        let begin = ContinuousClock.now
        var latency: Duration { ContinuousClock.now - begin }
        switch request {
        case .get(let key, let consistency):
            var options = GetOptions()
            options.consistency = consistency
            options.wantsReceipt = true
            let entry = try await client.get(key, options: options)
            return answer.text(read: entry, key: key, consistency, latency)
        case .put(let key, let value):
            var options = PutOptions()
            options.wantsReceipt = true
            return answer.text(written: try await client.put(key, value, options: options), latency)
        case .delete(let key):
            var options = DeleteOptions()
            options.wantsReceipt = true
            return answer.text(deleted: try await client.delete(key, options: options), latency)
        case .scan(let prefix, let limit):
            var options = ScanOptions.limit(limit)
            options.wantsReceipt = true
            var entries: [Entry] = []
            var receipt: Receipt?
            for try await page in client.scan(prefix: prefix, options: options).pages {
                entries += page.entries
                receipt = receipt ?? page.receipt
            }
            return answer.text(scanned: entries, receipt, latency)
        default:
            preconditionFailure("\(request) is answered by others")
        }
    }
}
