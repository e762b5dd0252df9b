internal import AtlasWire
internal import NIOCore

/// A call of a session on its way.
///
/// `@unchecked Sendable`: `body`, `id` and `stage` are under the lane's lock, `deadline` and `receiver` are set before
/// the call is handed over, and the receiver is used once, by whoever took the call out of the lane.
final class PendingCall: @unchecked Sendable {
    /// Who waits for the answer.
    enum Receiver {
        case one(UnsafeContinuation<Result<WireSessionAnswer.Body, AtlasError>, Never>)
        case scan(ScanMailbox)
    }

    /// new → waiting or sent (or cancelled); waiting → sent, over; sent → over
    enum Stage {
        /// Not yet handed over.
        case new
        /// In line, because too much is under way.
        case waiting
        /// In the outbox, or with the server.
        case sent
        /// Cancelled before it was handed over.
        case cancelled
        case over
    }

    /// What is to be sent; gone once it is encoded.
    var body: WireSessionCall.Body?
    var id: UInt64 = 0
    var stage = Stage.new
    let deadline: NIODeadline
    /// Whether the outcome is unknown when no answer comes.
    let isWrite: Bool
    private var receiver: Receiver?

    init(_ body: WireSessionCall.Body, deadline: NIODeadline) {
        self.body = body
        self.deadline = deadline
        isWrite =
            switch body {
            case .put, .delete, .batch: true
            case .get, .scan, .cancel, .credit: false
            }
    }

    var isScan: Bool {
        if case .scan = receiver { true } else { false }
    }

    func attach(_ receiver: Receiver) {
        self.receiver = receiver
    }

    /// The final answer.
    func finish(_ result: Result<WireSessionAnswer.Body, AtlasError>) {
        switch receiver {
        case .one(let continuation): continuation.resume(returning: result)
        case .scan(let mailbox): mailbox.finish(result)
        case nil: break
        }
        receiver = nil
    }

    /// The call was sent, and no answer will come.
    func lose(_ error: AtlasError) {
        finish(.failure(isWrite ? error.with { $0.outcomeUnknown = true } : error))
    }

    /// A part of a scan.
    func receive(_ page: WireScanResponse) {
        if case .scan(let mailbox) = receiver { mailbox.receive(page) }
    }

    /// When to give up on the call: a scan may take as long as it likes for whatever nobody waits for.
    func deadline(now: NIODeadline) -> NIODeadline {
        if case .scan(let mailbox) = receiver { mailbox.deadline(now: now) } else { deadline }
    }
}
