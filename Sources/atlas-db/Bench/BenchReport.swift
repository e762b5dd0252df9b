internal import Histogram
internal import AtlasTypes
internal import AtlasConsole
internal import AtlasBench

/// The outcome of a run.
struct BenchReport {
    let mode: String
    let load: LoadOptions
    let workload: WorkloadOptions
    /// How long the keys were loaded; nil if they were not.
    var loading: Duration?
    /// From the start to the last answer; nil if keys were only loaded.
    var elapsed: Duration?
    var counts = BenchCounts()

    init(mode: String, load: LoadOptions, workload: WorkloadOptions) {
        self.mode = mode
        self.load = load
        self.workload = workload
    }

    /// Why the run as a whole failed: nothing succeeded.
    var failure: CommandFailure? {
        guard elapsed != nil, counts.latencies.isEmpty,
            let (code, message) = counts.messages.min(by: { $0.key < $1.key })
        else { return nil }
        return CommandFailure(.unavailable, code: code, "no operation succeeded: \(message)")
    }

    private static let percentiles: [(title: String, name: String, value: Double)] = [
        ("P50", "p50_us", 50), ("P90", "p90_us", 90), ("P99", "p99_us", 99), ("P99.9", "p999_us", 99.9),
    ]

    private var loadedKeysPerSecond: Double? {
        loading.map { Double(workload.keys) / max($0.inSeconds, 1e-9) }
    }

    private func perSecond(_ count: UInt64) -> Double {
        Double(count) / max(elapsed?.inSeconds ?? 0, 1e-9)
    }
}

// MARK: - Text

extension BenchReport {
    var text: String {
        [loadingText, elapsed == nil ? nil : runText, errorText].compactMap(\.self).joined(separator: "\n")
    }

    private var loadingText: String? {
        guard let loading, let rate = loadedKeysPerSecond else { return nil }
        return
            "Loaded \(Quantity.count(workload.keys)) keys in \(Quantity.time(microseconds: loading.nanoseconds / 1_000)): "
            + "\(Quantity.count(UInt64(rate))) keys/s.\n"
    }

    private var runText: String {
        let loop = load.rate.map { "open loop, \(Quantity.fixed($0, digits: 0)) operations/s due" } ?? "closed loop"
        let seconds = Quantity.fixed(elapsed?.inSeconds ?? 0, digits: 1)
        var table = TextTable(
            [.left("OPERATION"), .right("COUNT"), .right("PER SECOND"), .right("MEAN")]
                + Self.percentiles.map { .right($0.title) } + [.right("MAX")]
        )
        for kind in Workload.Kind.allCases {
            if let latencies = counts.latencies[kind] { table.add(row(kind.name, latencies)) }
        }
        if counts.latencies.count != 1 { table.add(row("all", counts.total)) }
        return "\(mode), \(loop), \(load.inFlight) in flight, \(Quantity.plural(load.connections, "connection")), "
            + "\(Quantity.count(workload.keys)) keys (\(workload.distribution.rawValue)), "
            + "values of \(workload.valueSize) bytes, \(seconds) s\n\n" + table.take()
    }

    private func row(_ name: String, _ latencies: Latencies) -> [String] {
        [name, Quantity.count(latencies.totalCount), Quantity.count(UInt64(perSecond(latencies.totalCount)))]
            + [BenchProgress.time(latencies.meanMicroseconds)]
            + Self.percentiles.map { BenchProgress.time(latencies.microseconds($0.value)) }
            + [BenchProgress.time(latencies.maxMicroseconds)]
    }

    private var errorText: String? {
        var lines = counts.errors.sorted { $0.key < $1.key }.map { code, count in
            "\(Quantity.plural(Int(clamping: count), "error")) \(code), such as: \(counts.messages[code] ?? "")\n"
        }
        if counts.unknown > 0 {
            lines.append(
                "Of \(Quantity.plural(Int(clamping: counts.unknown), "failed write")) the outcome is unknown.\n"
            )
        }
        if counts.absent > 0 {
            lines.append(
                "\(Quantity.plural(Int(clamping: counts.absent), "operation")) found no key (--load writes all).\n"
            )
        }
        return lines.isEmpty ? nil : lines.joined()
    }
}

// MARK: - JSON

extension BenchReport {
    var json: JSON {
        var fields: [(String, JSON)] = [("settings", settings)]
        if let loading, let rate = loadedKeysPerSecond {
            fields.append(
                ("load", .object([("seconds", .number(loading.inSeconds)), ("keys_per_second", .number(rate))]))
            )
        }
        if let elapsed {
            fields += [
                ("seconds", .number(elapsed.inSeconds)),
                ("all", json(counts.total)),
                (
                    "operations",
                    .object(
                        Workload.Kind.allCases.compactMap { kind in
                            counts.latencies[kind].map { (kind.name, json($0)) }
                        }
                    )
                ),
                ("not_found", .integer(counts.absent)),
                ("errors", .object(counts.errors.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
                ("outcome_unknown", .integer(counts.unknown)),
            ]
        }
        return .object(fields)
    }

    private func json(_ latencies: Latencies) -> JSON {
        .object(
            [
                ("count", .integer(latencies.totalCount)),
                ("per_second", .number(perSecond(latencies.totalCount))),
                ("mean_us", .number(latencies.meanMicroseconds)),
            ] + Self.percentiles.map { ($0.name, .number(latencies.microseconds($0.value))) }
                + [("max_us", .number(latencies.maxMicroseconds))]
        )
    }

    private var settings: JSON {
        .object([
            ("mode", .string(mode)),
            ("loop", .string(load.rate == nil ? "closed" : "open")),
            ("rate", load.rate.map { .number($0) } ?? .null),
            ("in_flight", .integer(Int64(load.inFlight))),
            ("connections", .integer(Int64(load.connections))),
            ("reads", .number(workload.reads)),
            ("deletes", .number(workload.deletes)),
            ("scans", .number(workload.scans)),
            ("keys", .integer(workload.keys)),
            ("key_bytes", .integer(Int64(workload.keySize))),
            ("value_bytes", .integer(Int64(workload.valueSize))),
            ("distribution", .string(workload.distribution.rawValue)),
            ("seed", .integer(load.seed)),
        ])
    }
}
