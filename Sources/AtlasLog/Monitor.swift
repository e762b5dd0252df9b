internal import Glibc

/// A state behind a mutex, with one condition to wait on.
///
/// pthread rather than `Synchronization.Mutex`, which has no condition and is slow under contention.
///
/// `@unchecked Sendable`: the state is reached only while the mutex is held.
final class Monitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let state: UnsafeMutablePointer<State>

    init(_ initial: State) {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        state = .allocate(capacity: 1)
        state.initialize(to: initial)
        precondition(pthread_mutex_init(mutex, nil) == 0, "a mutex needs memory only")
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        precondition(pthread_cond_init(condition, &attributes) == 0, "a condition needs memory only")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        state.deinitialize(count: 1)
        state.deallocate()
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state.pointee)
    }

    /// As `withLock`, but gives up with `nil` when the mutex is still taken after `attempts` looks at it.
    func withLockIfFree<Result, Failure: Error>(
        attempts: Int,
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        var attempt = 0
        while pthread_mutex_trylock(mutex) != 0 {
            attempt += 1
            guard attempt < attempts else { return nil }
        }
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state.pointee)
    }

    /// Waits until `body` has a result; `nil` after `milliseconds` without one.
    func wait<Result>(milliseconds: Int? = nil, until body: (inout State) -> Result?) -> Result? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard let milliseconds else {
            while true {
                if let result = body(&state.pointee) { return result }
                pthread_cond_wait(condition, mutex)
            }
        }
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + (milliseconds % 1000) * 1_000_000
        deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        while true {
            if let result = body(&state.pointee) { return result }
            if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return body(&state.pointee) }
        }
    }

    /// Wakes everyone who waits.
    func signal() {
        pthread_cond_broadcast(condition)
    }
}

/// A thread that is joined.
struct LogThread: Sendable {
    private let handle: pthread_t

    init(name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(name: name, body: body))
        var handle = pthread_t()
        let code = pthread_create(
            &handle,
            nil,
            { argument in
                let box = Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
                setThreadName(box.name)
                box.body()
                return nil
            },
            box.toOpaque()
        )
        precondition(code == 0, "cannot start a thread: errno \(code)")
        self.handle = handle
    }

    func join() {
        pthread_join(handle, nil)
    }

    var isCurrent: Bool {
        pthread_equal(handle, pthread_self()) != 0
    }

    private final class Box: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}

/// Names the calling thread for `top` and `perf`; Glibc's module does not export `pthread_setname_np`.
private func setThreadName(_ name: String) {
    let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = write(descriptor, name, name.utf8.count)
    close(descriptor)
}

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
