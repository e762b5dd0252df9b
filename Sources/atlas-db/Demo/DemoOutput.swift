internal import Glibc

/// What the demo says.
enum DemoOutput {
    /// Writes to standard output. If that is closed the demo ends, in good order: what it started has to end with it.
    static func write(_ text: String) throws(CancellationError) {
        do {
            try FileBytes.write(Array(text.utf8), to: STDOUT_FILENO)
        } catch {
            throw CancellationError()
        }
    }
}
