internal import ArgumentParser
internal import Foundation
internal import AtlasTypes
internal import AtlasConsole

/// Which nodes a command talks to, and how long it waits.
struct EndpointOptions: ParsableArguments {
    @Option(
        name: .customLong("endpoint"),
        help: ArgumentHelp(
            "A node; may be repeated, and others are tried when one does not answer.",
            discussion: "Else ATLAS_ENDPOINT (several with commas between), else 127.0.0.1:8080.",
            valueName: "host:port"
        )
    )
    var given: [String] = []

    @Option(
        name: .customLong("timeout"),
        help: ArgumentHelp(
            "How long to wait for the answer.",
            discussion: "Else 5s, and 60s for changes of tablets and nodes.",
            valueName: "duration"
        )
    )
    var givenTimeout: TimeLength?

    /// How long to wait where nobody said it.
    enum Patience {
        /// For something that a node can answer at once.
        case answer
        /// For a change that tablets have to agree about.
        case change

        fileprivate var duration: Duration {
            switch self {
            case .answer: .seconds(5)
            case .change: .seconds(60)
            }
        }
    }

    var timeout: TimeLength { timeout(.answer) }

    func timeout(_ patience: Patience) -> TimeLength {
        givenTimeout ?? TimeLength(patience.duration)
    }

    static let variable = "ATLAS_ENDPOINT"
    static let standard = HostPort(host: "127.0.0.1", port: 8080)

    /// At least one.
    func endpoints() throws(CommandFailure) -> [HostPort] {
        let (texts, origin) = sources()
        var endpoints: [HostPort] = []
        for text in texts {
            guard let endpoint = HostPort(text), endpoint.port > 0 else {
                throw .usage("\(origin) is \"\(text)\", expected host:port, such as localhost:8080")
            }
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return endpoints.isEmpty ? [Self.standard] : endpoints
    }

    private func sources() -> (texts: [String], origin: String) {
        if !given.isEmpty { return (given, "--endpoint") }
        let variable = ProcessInfo.processInfo.environment[Self.variable] ?? ""
        let texts = variable.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        return (texts, Self.variable)
    }

    mutating func validate() throws {
        guard timeout.duration > .zero, timeout.duration <= .seconds(86_400) else {
            throw ValidationError("--timeout must be longer than nothing and at most 24h")
        }
    }
}
