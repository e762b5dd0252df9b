internal import NIOCore
internal import AtlasTypes

/// Whether and when to try again.
struct Retries {
    private let policy: AtlasClient.RetryPolicy
    private let deadline: NIODeadline
    private var attempts = 1
    private var backoff: Duration

    init(_ policy: AtlasClient.RetryPolicy, deadline: NIODeadline) {
        self.policy = policy
        self.deadline = deadline
        backoff = policy.backoffMin
    }

    /// How long to wait before the next attempt; `nil`: the error is the answer.
    /// - Parameter isWorthIt: although the error says otherwise.
    mutating func next(after error: AtlasError, evenIf isWorthIt: Bool = false) -> Duration? {
        guard error.isRetryable || isWorthIt, !Task.isCancelled, attempts < policy.attemptsMax ?? .max else {
            return nil
        }
        let jittered = backoff * Double.random(in: 0.5...1)
        let wait = max(jittered, error.context.retryAfter ?? .zero)
        guard .now() + TimeAmount(wait) < deadline else { return nil }
        attempts += 1
        backoff = min(backoff * 2, policy.backoffMax)
        return wait
    }
}

extension TimeAmount {
    /// Within ten years, so that sums with the present do not overflow.
    init(_ duration: Duration) {
        self = .nanoseconds(duration.boundedNanoseconds)
    }
}
