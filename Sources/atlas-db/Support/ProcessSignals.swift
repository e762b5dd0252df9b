internal import Glibc
internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// The signals that a running node obeys: SIGTERM and SIGINT end the service, SIGHUP calls back.
///
/// After the first SIGTERM or SIGINT both have their default action again. So a second one ends the process by the
/// kernel's hand, whatever state the process is in.
struct ProcessSignals: Service {
    private let arrivals: UnixSignalsSequence
    private let logger: Logger
    private let hangup: @Sendable () -> Void

    /// Signals are caught from here on.
    init(logger: Logger, hangup: @escaping @Sendable () -> Void) async {
        arrivals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        self.logger = logger
        self.hangup = hangup
    }

    func run() async {
        for await arrival in arrivals.cancelOnGracefulShutdown() {
            if arrival == .sighup {
                logger.info("SIGHUP: opening the log file again")
                hangup()
                continue
            }
            signal(SIGTERM, SIG_DFL)
            signal(SIGINT, SIG_DFL)
            logger.info("\(arrival): stopping; a second signal ends the process at once")
            return
        }
    }
}
