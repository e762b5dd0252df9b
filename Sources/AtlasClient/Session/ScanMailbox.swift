internal import AtlasWire
internal import NIOConcurrencyHelpers
internal import NIOCore

/// What one attempt at a scan has received and its consumer has not taken. The server sends no more than it was given
/// credit for, so this stays small.
///
/// `@unchecked Sendable`: everything that changes is under the lock.
final class ScanMailbox: @unchecked Sendable {
    enum Event {
        case page(WireScanResponse)
        case end
        case failed(AtlasError)
    }

    private let timeout: TimeAmount
    private let lock = NIOLock()
    private var pages = CircularBuffer<WireScanResponse>()
    private var ending: Event?
    private var waiter: UnsafeContinuation<Event, Never>?
    private var waiterDeadline = NIODeadline.distantFuture

    /// - Parameter timeout: how long a page may take.
    init(timeout: TimeAmount) {
        self.timeout = timeout
    }

    /// Waits for the next event; of one consumer. Pages come before the ending, unless the task is cancelled.
    func next(deadline: NIODeadline) async -> Event {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                lock.lock()
                let event = pages.popFirst().map(Event.page) ?? ending
                if event == nil {
                    waiter = continuation
                    waiterDeadline = deadline
                }
                lock.unlock()
                if let event { continuation.resume(returning: event) }
            }
        } onCancel: {
            end(.failed(.cancelled), dropPages: true)
        }
    }

    func receive(_ page: WireScanResponse) {
        lock.lock()
        let waiter = waiter
        self.waiter = nil
        if waiter == nil { pages.append(page) }
        lock.unlock()
        waiter?.resume(returning: .page(page))
    }

    func finish(_ result: Result<WireSessionAnswer.Body, AtlasError>) {
        switch result {
        case .success(.scanEnd): end(.end, dropPages: false)
        case .success: end(.failed(AtlasError(.internal, "the answer is not that of a scan")), dropPages: false)
        case .failure(let error): end(.failed(error), dropPages: false)
        }
    }

    /// When to give up, as it looks now: nobody counts while nobody waits.
    func deadline(now: NIODeadline) -> NIODeadline {
        lock.withLock { waiter == nil ? now + timeout : waiterDeadline }
    }

    private func end(_ event: Event, dropPages: Bool) {
        lock.lock()
        if dropPages { pages.removeAll() }
        if ending == nil || dropPages { ending = event }
        let waiter = waiter
        self.waiter = nil
        lock.unlock()
        waiter?.resume(returning: event)
    }
}
