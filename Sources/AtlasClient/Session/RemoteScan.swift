internal import AtlasWire
internal import NIOCore

/// One scan of a client: pages from a session, and where that is lost, from another one, behind the last page.
///
/// `@unchecked Sendable`: used by one consumer at a time; `cancel` comes after the last use.
final class RemoteScan: Scan.Source, @unchecked Sendable {
    /// Credit is given for so many pages at once; the server begins with twice as many.
    private static let creditPages: UInt32 = 2

    private let client: ClientCore
    private let timeout: TimeAmount
    private let showsNewest: Bool
    /// What is left; an error until the request could be built.
    private var rest: Result<WireScanRequest, AtlasError>
    private var attempt: Attempt?
    private var hasReturnedPage = false
    private var isComplete = false

    private struct Attempt {
        let lane: Lane
        let call: PendingCall
        let mailbox: ScanMailbox
        var pagesTaken: UInt32 = 0
    }

    init(_ client: ClientCore, _ range: ScanRange, _ options: ScanOptions) {
        self.client = client
        timeout = TimeAmount(options.timeout ?? client.configuration.timeout)
        showsNewest = options.atVersion == nil
        do throws(AtlasError) {
            rest = .success(try WireScanRequest(range, options, seen: client.versionToShow))
        } catch {
            rest = .failure(error)
        }
    }

    func nextPage() async throws(AtlasError) -> Scan.Page? {
        let deadline = NIODeadline.now() + timeout
        var retries = Retries(client.configuration.retry, deadline: deadline)
        while !isComplete {
            let began = NIODeadline.now()
            let patience = client.attemptDeadline(began, deadline)
            let current = try begin(began, patience)
            switch await current.mailbox.next(deadline: patience) {
            case .page(let response):
                if let page = take(Scan.Page(response)) { return page }
            case .end:
                isComplete = true
            case .failed(let error):
                attempt = nil
                current.lane.cancel(current.call)
                client.noteFailure(
                    error,
                    on: current.lane,
                    lasted: .now() - began,
                    sentMinVersion: (try? rest.get().minVersion) ?? 0
                )
                let isImpatience = error.code == .deadlineExceeded && patience < deadline
                guard let wait = retries.next(after: error, evenIf: isImpatience) else {
                    isComplete = true
                    throw error
                }
                try? await Task.sleep(for: wait)
            }
        }
        return nil
    }

    func cancel() {
        if let attempt { attempt.lane.cancel(attempt.call) }
    }

    /// The attempt that is under way, or a new one.
    private func begin(_ now: NIODeadline, _ patience: NIODeadline) throws(AtlasError) -> Attempt {
        if let attempt { return attempt }
        let request = try rest.get()
        let mailbox = ScanMailbox(timeout: patience - now)
        let call = PendingCall(.scan(request), deadline: patience)
        call.attach(.scan(mailbox))
        let lane = client.nextLane()
        lane.submit(call)
        let attempt = Attempt(lane: lane, call: call, mailbox: mailbox)
        self.attempt = attempt
        return attempt
    }

    /// - Returns: `nil` for a page without entries, unless it is the first.
    private func take(_ page: Scan.Page) -> Scan.Page? {
        giveCredit()
        if showsNewest { client.seen.note(page.snapshotVersion) }
        if case .success(var request) = rest, !page.entries.isEmpty {
            isComplete = !request.resume(behind: page)
            rest = .success(request)
        }
        guard !page.entries.isEmpty || !hasReturnedPage else { return nil }
        hasReturnedPage = true
        return page
    }

    private func giveCredit() {
        guard var current = attempt else { return }
        current.pagesTaken += 1
        if current.pagesTaken % Self.creditPages == 0 {
            current.lane.credit(current.call, messages: Self.creditPages)
        }
        attempt = current
    }
}
