internal import AtlasRelay
internal import NIOCore
internal import AtlasTypes

/// What one line of standard input asks of a relay.
struct RelayRequest: Sendable {
    /// What of a condition is to be changed.
    struct Change: Sendable, Hashable {
        enum Rate: Sendable, Hashable {
            case unlimited
            /// Bytes per second.
            case limited(Int)
        }

        var delay: TimeAmount?
        var jitter: TimeAmount?
        var rate: Rate?

        var isEmpty: Bool { self == Change() }

        func apply(to condition: inout LinkCondition) {
            if let delay { condition.delay = delay }
            if let jitter { condition.jitter = jitter }
            switch rate {
            case nil: break
            case .unlimited?: condition.rate = nil
            case .limited(let bytes)?: condition.rate = bytes
            }
        }
    }

    enum Operation: Sendable {
        case set(Change)
        case stop
        case open
        case drop
        case cut
        case heal
        case add(RelayLink)
        case remove
        case stats
    }

    var operation: Operation
    /// Names and patterns.
    var links: [String] = []
    var directions = LinkDirection.allCases
}

/// Why a line or an argument is no request; the message says what is wrong with it.
struct RelaySyntaxError: Error {
    var message: String

    init(_ message: String) { self.message = message }
}

extension RelayRequest {
    /// - Parameter name: What to call it in an error.
    static func time(_ milliseconds: Double, _ name: String) throws(RelaySyntaxError) -> TimeAmount {
        let most = LinkCondition.timeMax.nanoseconds / 1_000_000
        guard milliseconds >= 0, milliseconds <= Double(most) else {
            throw RelaySyntaxError("\(name) must be between 0 and \(most)")
        }
        return .nanoseconds(Int64((milliseconds * 1e6).rounded()))
    }

    static func address(_ text: String, _ name: String) throws(RelaySyntaxError) -> HostPort {
        guard let address = HostPort(text) else {
            throw RelaySyntaxError("\(name) must be host:port, not \"\(text)\"")
        }
        return address
    }
}

extension RelayLink {
    /// Reads `NAME=LISTEN>TARGET`.
    init(text: String, condition: LinkCondition) throws(RelaySyntaxError) {
        guard let equals = text.firstIndex(of: "="),
            let arrow = text[equals...].firstIndex(of: ">"),
            equals > text.startIndex
        else { throw RelaySyntaxError("a link is NAME=LISTEN>TARGET, not \"\(text)\"") }
        self.init(
            name: String(text[..<equals]),
            listen: try RelayRequest.address(String(text[text.index(after: equals)..<arrow]), "LISTEN"),
            target: try RelayRequest.address(String(text[text.index(after: arrow)...]), "TARGET"),
            condition: condition
        )
    }
}
