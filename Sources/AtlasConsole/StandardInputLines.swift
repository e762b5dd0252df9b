internal import Glibc
internal import NIOPosix

/// The lines of standard input, whatever it is: a pipe, a terminal, a file. Read on a thread of its own, and only when
/// somebody asks for the next one.
package struct StandardInputLines {
    package enum Line: Sendable {
        case text(String)
        /// More than `lineBytesMax`; it has been skipped.
        case tooLong
    }

    package static let lineBytesMax = 1 << 20
    private static let newline = UInt8(ascii: "\n")

    private let thread: NIOThreadPool
    private var bytes: ArraySlice<UInt8> = []
    private var hasEnded = false
    private var isSkipping = false

    package init() {
        thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
    }

    /// The next line without its end, or `nil` if there is none. Bytes behind the last line end are a line too.
    package mutating func next() async -> Line? {
        while true {
            if let end = bytes.firstIndex(of: Self.newline) {
                let line = bytes[..<end]
                bytes = bytes[(end + 1)...]
                return finish(line)
            }
            if bytes.count > Self.lineBytesMax {
                isSkipping = true
                bytes = []
            }
            if hasEnded {
                guard !bytes.isEmpty || isSkipping else { return nil }
                defer { bytes = [] }
                return finish(bytes)
            }
            let chunk = (try? await thread.runIfActive { Self.readChunk() }) ?? []
            hasEnded = chunk.isEmpty
            bytes += chunk
        }
    }

    private mutating func finish(_ line: ArraySlice<UInt8>) -> Line {
        defer { isSkipping = false }
        return isSkipping ? .tooLong : .text(String(decoding: line, as: UTF8.self))
    }

    /// What is there, or nothing at the end. An error is an end as well: nothing more will come.
    private static func readChunk() -> [UInt8] {
        while true {
            var code: Int32 = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 14) { buffer, count in
                let result = read(STDIN_FILENO, buffer.baseAddress, buffer.count)
                code = result < 0 ? errno : 0
                count = max(result, 0)
            }
            switch code {
            case EINTR: break
            case EAGAIN: FileBytes.wait(for: STDIN_FILENO, POLLIN)
            default: return chunk
            }
        }
    }
}
