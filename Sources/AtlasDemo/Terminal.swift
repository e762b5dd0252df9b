internal import Glibc
internal import NIOConcurrencyHelpers
internal import NIOPosix
internal import AtlasConsole

/// The terminal as a screen of its own, on which each key counts at once.
package final class Terminal: Sendable {
    /// As it was before; `nil`: it is as it was.
    private let original = NIOLockedValueBox<termios?>(nil)
    private let thread = NIOThreadPool(numberOfThreads: 1)

    package static let shared = Terminal()

    private init() {
        thread.start()
    }

    package static var isThere: Bool { isatty(STDIN_FILENO) == 1 && Console.outputIsTerminal }

    /// Keys come without Return and are not shown. Ctrl-C stays what it is.
    func open() {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return }
        original.withLockedValue { if $0 == nil { $0 = settings } }
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
        try? DemoOutput.write("\u{1B}[?1049h\u{1B}[?25l")
    }

    /// Everything as it was before; nothing happens if it is.
    package func close() {
        guard var settings = original.withLockedValue({ $0.take() }) else { return }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        try? DemoOutput.write("\u{1B}[?25h\u{1B}[?1049l")
    }

    /// Shows text from the top, as much of it as fits; the last line of the screen is the footer. Nothing happens while the
    /// terminal is closed.
    func draw(_ text: String, footer: String) {
        let (rows, columns) = size
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(rows - 1)
        let body = lines.map { $0.prefix(columns) + "\u{1B}[K\n" }.joined()
        original.withLockedValue {
            guard $0 != nil else { return }
            try? DemoOutput.write("\u{1B}[H\(body)\u{1B}[J\u{1B}[\(rows);1H\(footer.prefix(columns))")
        }
    }

    private var size: (rows: Int, columns: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 1, size.ws_col > 0 else {
            return (24, 80)
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    enum Key: Sendable, Equatable {
        case character(Character)
        /// Nothing comes any more.
        case end
    }

    /// Waits for a key.
    /// - Returns: `nil` if none came in time.
    func key(within time: Duration) async -> Key? {
        let milliseconds = Int32(TimeLength(time).milliseconds)
        do {
            return try await thread.runIfActive { Self.readKey(milliseconds) }
        } catch {
            return .end
        }
    }

    private static func readKey(_ milliseconds: Int32) -> Key? {
        guard hasInput(within: milliseconds) else { return nil }
        guard let byte = readByte() else { return .end }
        if byte == escape, hasInput(within: 0) {
            skipSequence()
            return nil
        }
        return .character(Character(Unicode.Scalar(byte)))
    }

    private static let escape: UInt8 = 0x1B

    /// Keys such as the arrows are several bytes, of which the first is escape: they mean nothing here. The last is a letter
    /// or ~.
    private static func skipSequence() {
        guard let first = readByte(), [UInt8(ascii: "["), UInt8(ascii: "O")].contains(first) else { return }
        while hasInput(within: 0), let byte = readByte() {
            if (UInt8(ascii: "@")...UInt8(ascii: "~")).contains(byte) { return }
        }
    }

    private static func hasInput(within milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) > 0
    }

    /// - Returns: `nil` if nothing comes any more.
    private static func readByte() -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            return count > 0 ? byte : nil
        }
    }
}
