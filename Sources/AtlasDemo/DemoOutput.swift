internal import Glibc
internal import AtlasConsole

/// What the demo says.
package enum DemoOutput {
    /// Writes to standard output. If that is closed the demo ends, in good order: what it started has to end with it.
    package static func write(_ text: String) throws(CancellationError) {
        do {
            try FileBytes.write(Array(text.utf8), to: STDOUT_FILENO)
        } catch {
            throw CancellationError()
        }
    }
}
