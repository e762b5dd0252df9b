internal import Glibc

/// A lock with a condition variable. `Synchronization.Mutex` has none.
///
/// `@unchecked Sendable`: wraps handles that are made to be shared by threads.
final class LogCondition: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        check(pthread_mutex_init(mutex, nil))
        var attributes = pthread_condattr_t()
        check(pthread_condattr_init(&attributes))
        check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC))
        check(pthread_cond_init(condition, &attributes))
        check(pthread_condattr_destroy(&attributes))
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<Result>(_ body: () -> Result) -> Result {
        check(pthread_mutex_lock(mutex))
        defer { check(pthread_mutex_unlock(mutex)) }
        return body()
    }

    /// Wakes all who wait.
    func signal() {
        check(pthread_cond_broadcast(condition))
    }

    /// Gives the lock up until somebody signals.
    func wait() {
        check(pthread_cond_wait(condition, mutex))
    }

    /// Gives the lock up until somebody signals; false once the deadline has passed.
    func wait(until deadline: timespec) -> Bool {
        var deadline = deadline
        let code = pthread_cond_timedwait(condition, mutex, &deadline)
        precondition(code == 0 || code == ETIMEDOUT)
        return code == 0
    }

    func deadline(afterSeconds seconds: Int) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        time.tv_sec += seconds
        return time
    }

    private func check(_ code: CInt) {
        precondition(code == 0, "a lock was used wrongly")
    }
}
