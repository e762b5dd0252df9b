import Foundation
import Glibc
import Logging
import Testing

@testable import AtlasConfiguration
import AtlasTestSupport

/// The form of log lines.
@Suite struct LoggingFormatTests {
    struct Failure: Error, CustomStringConvertible {
        var description: String { "disk \"sda\" is\ngone" }
    }

    private func line(
        _ message: String,
        level: Logger.Level = .info,
        metadata: Logger.Metadata = [:],
        error: (any Error)? = nil
    ) -> LogLine {
        LogLine(
            milliseconds: 1_769_903_999_007,
            level: level,
            label: "atlas.node",
            message: message,
            metadata: metadata,
            error: error
        )
    }

    private func json(_ line: LogLine) throws -> JSONValue {
        let bytes = line.bytes(in: .json)
        #expect(bytes.count { $0 == UInt8(ascii: "\n") } == 1 && bytes.last == UInt8(ascii: "\n"))
        return try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
    }

    private func text(_ line: LogLine) -> String {
        String(decoding: line.bytes(in: .text), as: UTF8.self)
    }

    @Test func jsonHasAllParts() throws {
        let metadata: Logger.Metadata = [
            "tablet": "7", "count": .stringConvertible(5), "list": ["a", ["b": "c"], []],
            "map": ["x": ["y": "z"], "e": [:]],
        ]
        let value = try json(line("started", level: .warning, metadata: metadata, error: Failure()))
        #expect(
            value
                == .object([
                    "time": .string("2026-01-31T23:59:59.007Z"), "level": .string("warning"),
                    "logger": .string("atlas.node"),
                    "message": .string("started"),
                    "error": .object([
                        "type": .string("AtlasConfigurationTests.LoggingFormatTests.Failure"),
                        "message": .string("disk \"sda\" is\ngone"),
                    ]),
                    "metadata": .object([
                        "tablet": .string("7"), "count": .string("5"),
                        "list": .array([.string("a"), .object(["b": .string("c")]), .array([])]),
                        "map": .object(["x": .object(["y": .string("z")]), "e": .object([:])]),
                    ]),
                ])
        )
    }

    /// Every character of one and two bytes, some of more, and what becomes of bytes that are no text.
    @Test func jsonKeepsEveryCharacter() throws {
        let all = String(String.UnicodeScalarView((0...0x7FF).compactMap(Unicode.Scalar.init)))
        let texts = [
            all, "\u{2028}\u{2029}\u{FEFF}\u{FFFF}😀e\u{301}\r\n", "\"\\/", "",
            String(decoding: [0x61, 0xFF, 0xC0, 0x80], as: UTF8.self),
        ]
        for text in texts {
            let value = try json(line(text, metadata: [text: .string(text)]))
            guard case .object(let fields) = value else { return #expect(Bool(false), "no object") }
            // Compared by scalars: String's own comparison takes canonically equivalent texts for equal.
            guard case .string(let message) = fields["message"], case .object(let metadata) = fields["metadata"] else {
                return #expect(Bool(false), "fields are missing")
            }
            #expect(message.unicodeScalars.elementsEqual(text.unicodeScalars))
            #expect(metadata.keys.first.map { $0.unicodeScalars.elementsEqual(text.unicodeScalars) } == true)
        }
    }

    @Test func jsonNeverHasRawControlCharacters() {
        let all = String(String.UnicodeScalarView((0...0x2030).compactMap(Unicode.Scalar.init)))
        for format in LogFormat.allCases {
            let bytes = line(all, metadata: [all: .string(all)], error: Failure()).bytes(in: format)
            let scalars = String(decoding: bytes.dropLast(), as: UTF8.self).unicodeScalars
            #expect(!scalars.contains { $0.properties.generalCategory == .control })
            #expect(!scalars.contains("\u{2028}") && !scalars.contains("\u{2029}"))
        }
    }

    @Test func textIsForPeople() {
        let metadata: Logger.Metadata = ["b": "two words", "a": "1", "c": "x=\"y\"", "d": ""]
        #expect(
            text(line("node \"a\" joined", level: .error, metadata: metadata))
                == "2026-01-31T23:59:59.007Z ERROR    atlas.node: node \"a\" joined a=1 b=\"two words\" c=\"x=\\\"y\\\"\" d=\"\"\n"
        )
        #expect(
            text(line("line one\nline two\u{1B}[31m", level: .critical, error: Failure()))
                == "2026-01-31T23:59:59.007Z CRITICAL atlas.node: line one\\nline two\\u001b[31m error=\"disk \\\"sda\\\" is\\ngone\"\n"
        )
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ])
    func timestamps(milliseconds: Int64, expected: String) {
        var bytes: [UInt8] = []
        LogTimestamp.append(milliseconds, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test func timestampsAgreeWithFoundation() {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        for day in stride(from: Int64(-30_000), to: 200_000, by: 97) {
            let milliseconds = day * 86_400_000 + 12_345_500
            var bytes: [UInt8] = []
            LogTimestamp.append(milliseconds, to: &bytes)
            #expect(
                String(decoding: bytes, as: UTF8.self)
                    == Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(style)
            )
        }
    }
}

/// Levels, metadata and outputs.
@Suite struct LoggingOutputTests {
    private func lines(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    private func logger(_ sink: LogSink, level: LogLevel = .info) -> Logger {
        Logger(label: "atlas.test") { AtlasLogHandler(label: $0, level: level, sink: sink) }
    }

    @Test(arguments: LogLevel.allCases)
    func onlyTheLevelAndWhatIsMoreSevere(level: LogLevel) throws {
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/log"
        let sink = try LogSink(.file(path: path), format: .text)
        for each in Logger.Level.allCases { logger(sink, level: level).log(level: each, "\(each)") }
        sink.close()
        let expected = LogLevel.allCases.drop { $0 != level }.map(\.rawValue)
        #expect(try lines(path).map { String($0.split(separator: " ").last ?? "") } == expected)
    }

    @Test func metadataIsMerged() throws {
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/log"
        let sink = try LogSink(.file(path: path), format: .text)
        var logger = Logger(label: "atlas.test") { label in
            var handler = AtlasLogHandler(label: label, level: .info, sink: sink)
            handler.metadataProvider = Logger.MetadataProvider { ["b": "provider", "c": "provider"] }
            return handler
        }
        logger[metadataKey: "a"] = "logger"
        logger[metadataKey: "b"] = "logger"
        logger.info("m", metadata: ["c": "event"])
        #expect(logger[metadataKey: "a"] == "logger")
        sink.close()
        #expect(try lines(path)[0].hasSuffix(" INFO     atlas.test: m a=logger b=provider c=event"))
    }

    @Test func filesAreAppendedToAndReopened() throws {
        let directory = TemporaryDirectory()
        let path = try directory.file("before\n".utf8, name: "log")
        let sink = try LogSink(.file(path: path), format: .text)
        logger(sink).info("one")
        sink.flush()
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        logger(sink).info("two")
        sink.flush()
        sink.reopen()
        logger(sink).info("three")
        sink.close()
        logger(sink).info("too late")
        #expect(try lines(path + ".1").map { $0.suffix(3) } == ["ore", "one", "two"])
        let reopened = try lines(path)
        #expect(reopened.count == 2)
        #expect(reopened.contains { $0.hasSuffix("three") })
        #expect(reopened.contains { $0.contains("the log file is open again") })
    }

    @Test func aFileThatCannotBeOpenedAgainIsSaidSo() throws {
        let directory = TemporaryDirectory()
        let folder = directory.path + "/logs"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let sink = try LogSink(.file(path: folder + "/log"), format: .text)
        try FileManager.default.moveItem(atPath: folder, toPath: folder + ".1")
        sink.reopen()
        sink.flush()
        logger(sink).info("two")
        sink.close()
        let written = try lines(folder + ".1/log")
        #expect(written.count == 2)
        #expect(written.contains { $0.contains("ERROR") && $0.contains("cannot be opened again") })
    }

    @Test func aLogFileIsForItsUser() throws {
        let directory = TemporaryDirectory()
        let before = umask(0)
        defer { umask(before) }
        let path = directory.path + "/log"
        try LogSink(.file(path: path), format: .text).close()
        var info = stat()
        #expect(stat(path, &info) == 0 && info.st_mode & 0o777 == 0o600)
    }

    @Test func linesOfManyThreadsStayWhole() async throws {
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/log"
        let sink = try LogSink(.file(path: path), format: .json)
        await withTaskGroup { group in
            for writer in 0..<8 {
                group.addTask {
                    for number in 0..<500 {
                        logger(sink).info(
                            "\(writer) \(number)",
                            metadata: ["pad": .string(String(repeating: "x", count: number))]
                        )
                    }
                }
            }
        }
        sink.close()
        let values = try lines(path).map { try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8)) }
        let messages = values.compactMap { value -> String? in
            guard case .object(let fields) = value, case .string(let message) = fields["message"] else { return nil }
            return message
        }
        for writer in 0..<8 {
            #expect(messages.filter { $0.hasPrefix("\(writer) ") } == (0..<500).map { "\(writer) \($0)" })
        }
    }

    @Test func unusableFilesAreRefused() throws {
        let directory = TemporaryDirectory()
        #expect(throws: ConfigurationError.self) { try LogSink(.file(path: directory.path), format: .json) }
        let error = #expect(throws: ConfigurationError.self) { try LogSink(.file(path: "/nowhere/log"), format: .json) }
        #expect(
            error?.problems.first?.description
                == "logging.output: /nowhere/log cannot be opened: No such file or directory"
        )
    }

    /// Nobody reads: logging goes on without waiting, lines are dropped and counted. Then the reader leaves: no harm.
    @Test func aStuckOrClosedOutputStopsNothing() async throws {
        let directory = TemporaryDirectory()
        let path = "\(directory.path)/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        #expect(throws: ConfigurationError.self, "a pipe without a reader") {
            try LogSink(.file(path: path), format: .json)
        }
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        try #require(reader >= 0)
        let sink = try LogSink(.file(path: path), format: .text)
        let logger = logger(sink)
        let pad = String(repeating: "x", count: 1000)
        for number in 0..<(2 * LogSink.pendingMaxBytes / 1000) { logger.info("\(number) \(pad)") }

        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let deadline = ContinuousClock.now + .seconds(20)
        while !String(decoding: received.suffix(200), as: UTF8.self).contains("lines were lost"),
            ContinuousClock.now < deadline
        {
            let count = read(reader, &buffer, buffer.count)
            if count > 0 { received += buffer[..<count] } else { try await Task.sleep(for: .milliseconds(2)) }
        }
        let text = String(decoding: received, as: UTF8.self)
        let notice = try #require(text.split(separator: "\n").last?.firstMatch(of: /lines=([0-9]+)$/))
        let written = text.split(separator: "\n").count - 1
        #expect(written + Int(notice.1)! == 2 * LogSink.pendingMaxBytes / 1000)

        #expect(close(reader) == 0)
        for number in 0..<10 { logger.info("\(number)") }
        sink.flush()
        sink.close()
    }

    @Test func aNumberThatWasClosedAtTheStartIsLeftAlone() throws {
        let directory = TemporaryDirectory()
        let path = try directory.file("data".utf8, name: "data")
        let number: CInt = 987
        var output = LogDescriptor(standard: number)
        let file = open(path, O_WRONLY)
        #expect(dup2(file, number) == number)
        defer {
            close(file)
            close(number)
        }
        #expect(output.write(Array("line\n".utf8)) == 0)
        #expect(try lines(path) == ["data"])
    }

    /// A full disk loses lines; each line that is there is whole, and the loss is told once there is space again.
    @Test func aFullDiskLosesWholeLines() throws {
        var file = try LogDescriptor(.file(path: "/dev/full"))
        #expect(file.write(Array("one\ntwo\n".utf8)) == 2)
        file.close()
    }
}

/// Any JSON without numbers.
enum JSONValue: Decodable, Equatable {
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let values = try? container.decode([JSONValue].self) {
            self = .array(values)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }
}
