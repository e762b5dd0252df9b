internal import Glibc

/// Says which seed a thread was running when a trap ends the process: a precondition of the core is a finding too.
enum CrashNote {
    static let threadsMax = 64
    // Both are written by the thread that the slot belongs to, and read by a signal handler in that same thread.
    nonisolated(unsafe) private static let owners = UnsafeMutablePointer<pthread_t>.allocate(capacity: threadsMax)
    nonisolated(unsafe) private static let seeds = UnsafeMutablePointer<UInt64>.allocate(capacity: threadsMax)
    private static let prefix: StaticString = "\ntrap in seed "

    static func install() {
        owners.initialize(repeating: 0, count: threadsMax)
        seeds.initialize(repeating: 0, count: threadsMax)
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
            signal(number) { number in
                CrashNote.write()
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }

    static func note(thread: Int, seed: UInt64) {
        guard thread < threadsMax else { return }
        owners[thread] = pthread_self()
        seeds[thread] = seed
    }

    /// Allocates nothing: it runs in a signal handler.
    private static func write() {
        let me = pthread_self()
        for slot in 0..<threadsMax where owners[slot] == me {
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 24) { digits in
                var place = 23
                digits[place] = UInt8(ascii: "\n")
                var rest = seeds[slot]
                repeat {
                    place -= 1
                    digits[place] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                } while rest > 0
                _ = Glibc.write(STDOUT_FILENO, prefix.utf8Start, prefix.utf8CodeUnitCount)
                _ = Glibc.write(STDOUT_FILENO, digits.baseAddress! + place, 24 - place)
            }
            return
        }
    }
}
