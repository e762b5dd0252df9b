internal import ArgumentParser
internal import AtlasLog
internal import Foundation
internal import Glibc
internal import AtlasTypes
internal import AtlasNode
internal import AtlasConfiguration
internal import AtlasConsole

/// `atlas-db log verify`: reads the whole log and checks every record.
struct LogVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every record of the log of a node that is stopped. Changes nothing.",
        discussion: """
            The directory is --data-dir, else node.data_dir of the configuration. Exit code 0: whole, 4: damaged.

            Examples:
              atlas-db log verify
              atlas-db log verify --data-dir /var/lib/atlas -o json
            """
    )

    @OptionGroup(title: "Configuration") var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let directory = try configuration.load().configuration.node.dataDirectory
        guard access(directory + "/log", F_OK) == 0 else {
            throw CommandFailure.usage(
                "\(directory) is no data directory: it has no log. Name the right one with --data-dir."
            )
        }
        let lock: FileLock?
        do {
            lock = try DataDirectory.lockForReading(directory)
        } catch {
            throw CommandFailure(
                .unavailable,
                code: "in_use",
                """
                a node is running on \(directory), and what it is just writing would look damaged. Stop it first, or \
                verify a copy of the directory.
                """
            )
        }
        let report = try withExtendedLifetime(lock) { () throws(CommandFailure) in try verify(directory + "/log") }
        switch output.format {
        case .table: Console.write(Self.table(report, directory: directory))
        case .json: Console.write(Self.json(report, directory: directory).pretty)
        }
        if let problem = report.problem {
            throw CommandFailure(.failure, code: "data_loss", "\(problem)")
        }
    }

    private func verify(_ path: String) throws(CommandFailure) -> LogReport {
        let began = ContinuousClock.now
        var shown = false
        defer { if shown { Console.endProgress() } }
        do {
            return try LogVerifier(directory: path).verify { done, total in
                guard done < total, ContinuousClock.now - began > .seconds(1) else { return }
                shown = true
                Console.progress("\(done) of \(total) segments checked")
            }
        } catch {
            throw .failed("the log cannot be read: \(error)")
        }
    }
}

// MARK: - Output

extension LogVerifyCommand {
    private static func table(_ report: LogReport, directory: String) -> String {
        var table = TextTable([
            .right("SEGMENT"), .left("ROLE"), .right("RECORDS"), .right("SIZE"), .right("TORN"), .left("SLOTS"),
            .left("STATE"),
        ])
        for segment in report.segments {
            table.add([
                "\(segment.sequence)", segment.role.rawValue, Quantity.count(UInt64(segment.records)),
                Quantity.bytes(UInt64(segment.bytes)),
                segment.tornBytes == 0 ? "-" : Quantity.bytes(UInt64(segment.tornBytes)),
                slots(segment), segment.problem.map { "damaged: \($0.reason)" } ?? "ok",
            ])
        }
        let records = report.segments.reduce(0) { $0 + $1.records }
        let verdict = report.problem == nil ? "whole" : "damaged"
        return table.take()
            + "\nThe log in \(directory) is \(verdict): \(Quantity.plural(report.segments.count, "segment")), "
            + "\(Quantity.plural(records, "record")).\n"
    }

    private static func slots(_ segment: LogReport.Segment) -> String {
        let ranges = segment.tablets.sorted { $0.key < $1.key }.filter { $0.value.last != .zero }
        if ranges.isEmpty { return "-" }
        return ranges.prefix(4).map { "\($0.rawValue):\($1.first.rawValue)-\($1.last.rawValue)" }.joined(separator: " ")
            + (ranges.count > 4 ? " and \(ranges.count - 4) more tablets" : "")
    }

    private static func json(_ report: LogReport, directory: String) -> JSON {
        .object([
            ("directory", .string(directory)),
            ("ok", .bool(report.problem == nil)),
            ("problem", report.problem.map { .string("\($0)") } ?? .null),
            ("segments", .array(report.segments.map(json))),
        ])
    }

    private static func json(_ segment: LogReport.Segment) -> JSON {
        let tablets = segment.tablets.sorted { $0.key < $1.key }.map { tablet, slots -> JSON in
            .object([
                ("tablet", .integer(tablet.rawValue)),
                ("first_slot", .integer(slots.first.rawValue)),
                ("last_slot", .integer(slots.last.rawValue)),
                ("records", .integer(Int64(slots.records))),
            ])
        }
        return .object([
            ("sequence", .integer(segment.sequence)),
            ("path", .string(segment.path)),
            ("role", .string(segment.role.rawValue)),
            ("records", .integer(Int64(segment.records))),
            ("bytes", .integer(Int64(segment.bytes))),
            ("torn_bytes", .integer(Int64(segment.tornBytes))),
            ("tablets", .array(tablets)),
            ("problem", segment.problem.map(json) ?? .null),
        ])
    }

    private static func json(_ problem: LogCorruption) -> JSON {
        .object([
            ("offset", problem.offset.map { .integer(Int64($0)) } ?? .null),
            ("tablet", problem.tablet.map { .integer($0.rawValue) } ?? .null),
            ("reason", .string(problem.reason)),
        ])
    }
}
