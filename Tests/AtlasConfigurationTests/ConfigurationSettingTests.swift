import AtlasCore
import Foundation
import Testing

@testable import AtlasConfiguration
import AtlasNode

/// Walks over every declared setting.
@Suite struct ConfigurationSettingTests {
    /// Run the tests with this variable to write `config/atlas.yaml` anew after a change of the settings.
    private static let rewriteVariable = "REWRITE_CONFIGURATION_FILE"

    private static let documentedFile = URL(filePath: #filePath)
        .deletingLastPathComponent().appending(path: "../../config/atlas.yaml").path

    private static let threeRegions =
        "[{id: atlas-node-1, address: \"localhost:8080\", region_id: 1}, "
        + "{id: b, address: \"localhost:8081\", region_id: 2}, {id: c, address: \"localhost:8082\", region_id: 3}]"

    /// Some value of every kind; for each setting at least one is legal and not the default.
    private static let candidates = [
        "true", "false", "7", "2s", "3s", "77s", "128KiB", "8MiB", "128MiB", "2GiB", "0.7", "127.0.0.1",
        "127.0.0.1:9000",
        "150ms", #"[{address: "a:1", via: "b:2"}]"#,
        "global", "nearest", "region", "debug", "text", threeRegions, "elsewhere", "immediate",
    ]
    private static let nonsense = ["no such thing!", "-1", "~"]

    /// What else must be set so that a change makes sense.
    private static let companions = ["cluster.survive": ["cluster.nodes=\(threeRegions)"]]

    @Test func documentedFileIsUpToDate() throws {
        let expected = ConfigurationTemplate.render()
        if ProcessInfo.processInfo.environment[Self.rewriteVariable] != nil {
            try Data(expected.utf8).write(to: URL(filePath: Self.documentedFile))
        }
        let committed = try String(contentsOfFile: Self.documentedFile, encoding: .utf8)
        #expect(committed == expected, "run the tests with \(Self.rewriteVariable)=1 and commit config/atlas.yaml")
    }

    @Test func documentedFileLoadsAsDefaults() throws {
        let loaded = try LoadedConfiguration.load(file: Self.documentedFile, environment: [:])
        #expect(loaded.configuration == AtlasConfiguration())
        #expect(Setting.all.allSatisfy { loaded.origin(of: $0.key) == .default })
    }

    @Test func documentedFileHasEachKeyAtItsDefault() throws {
        let committed = try String(contentsOfFile: Self.documentedFile, encoding: .utf8)
        let uncommented = committed.replacing(/(?m)^  #(?=[a-z_]+:)/, with: "  ")
        let loaded = try load(uncommented)
        #expect(loaded.configuration == AtlasConfiguration())
        for setting in Setting.all {
            guard case .file = loaded.origin(of: setting.key) else {
                Issue.record("\(setting.key) is not in config/atlas.yaml")
                continue
            }
        }
    }

    /// Also the seed's keys, at the seed's values.
    @Test func documentedExampleLoads() throws {
        let loaded = try load(
            """
            node:      {id: atlas-node-1, address: "localhost:8080", data_dir: ./data, region_id: 1}
            cluster:   {name: here, nodes: [], survive: node}
            storage:   {sync_writes: true, num_versions: 10, gc_interval: 5m, value_log_gc_ratio: 0.5, max_table_size: 67108864,
                        level_one_size: 268435456, value_log_file_size: 1073741824}
            transport: {port: 8080, max_recv_msg_size: 4194304, max_send_msg_size: 4194304, connection_timeout: 10s,
                        keep_alive_time: 30s, keep_alive_timeout: 5s, max_connection_idle: 15m, max_connection_age: 30m,
                        max_concurrent_stream: 100}
            consensus: {prepare_timeout: 2s, accept_timeout: 2s, commit_timeout: 1s, heartbeat_interval: 1s,
                        election_timeout: 5s, max_proposal_retries: 3, fast_path_enabled: true, local_quorum_threshold: 0.6}
            region:    {latency_monitor_interval: 30s, region_sync_enabled: true, region_sync_interval: 10s,
                        write_strategy: local, read_strategy: local, max_region_latency: 100ms}
            logging:   {level: info, format: json, output: stdout}
            """
        )
        var expected = AtlasConfiguration()
        expected.cluster.name = "here"
        // The seed's are longer than ours.
        expected.node.consensus.prepareTimeout = .seconds(2)
        expected.node.consensus.acceptTimeout = .seconds(2)
        expected.node.consensus.commitTimeout = .seconds(1)
        expected.node.consensus.heartbeatInterval = .seconds(1)
        expected.node.consensus.electionTimeout = .seconds(5)
        #expect(loaded.configuration == expected)
    }

    @Test func ownershipPoliciesAreWhatTheCoreUses() throws {
        let policies: KeyValuePairs<String, StealPolicy> = [
            "none": .none, "immediate": .immediate, "adaptive": .default, "consecutive(20)": .consecutive(count: 20),
            "majority(10s)": .majority(intervalMilliseconds: 10_000), "ema(0.2)": .ema(alphaPermille: 200),
        ]
        for (text, policy) in policies {
            let configuration = try load(set: ["region.ownership_policy=\(text)"]).configuration
            #expect(ConsensusSettings(configuration).stealPolicy == policy)
        }
        #expect(ConsensusSettings(AtlasConfiguration()).stealPolicy == .default)
        for text in [
            "often", "consecutive", "consecutive()", "consecutive(0)", "consecutive(1000001)", "consecutive(2",
            "none()",
            "majority(99ms)", "majority(61m)", "majority(5)", "ema(0)", "ema(1.1)", "ema(nan)", "ema(0.2))",
            "adaptive(1)",
        ] {
            #expect(problems(set: ["region.ownership_policy=\(text)"]).count == 1, "\(text)")
        }
    }

    @Test func settingsOfReplicationReachTheCore() throws {
        let set = ["consensus.max_proposal_retries=7", "region.region_sync_interval=3s"]
        let settings = ConsensusSettings(try load(set: set).configuration)
        #expect(settings.proposalRetriesMax == 7)
        let limits = Limits(
            try load(set: ["storage.log_retain_size=99MiB", "limits.max_value_size=2MiB"]).configuration
        )
        #expect(limits.retainedBytesMax == 99 << 20)
        #expect(limits.operationsTogetherMax == 128)
        #expect(settings.stateCheckInterval == 3_000 * ConsensusSettings.millisecond)
        let off = ConsensusSettings(try load(set: set + ["region.region_sync_enabled=false"]).configuration)
        #expect(off.stateCheckInterval == 0)
    }

    @Test func everyStoredPropertyHasOneSetting() {
        func leaves(_ value: Any) -> Int {
            let mirror = Mirror(reflecting: value)
            let isSection =
                mirror.displayStyle == .struct && String(reflecting: type(of: value)).contains("Config")
                || value is RequestLimits
            return isSection ? mirror.children.reduce(0) { $0 + leaves($1.value) } : 1
        }
        #expect(leaves(AtlasConfiguration()) == Setting.all.count)
        #expect(Set(Setting.all.map(\.key)).count == Setting.all.count)
        #expect(Set(Setting.all.map(\.section)) == Set(Setting.sections.map(\.name)))
    }

    @Test(arguments: Setting.all.map(\.key))
    func eachSettingTakesEffectFromEverySource(key: String) throws {
        let setting = try #require(Setting.byKey[key])
        let companions = Self.companions[key] ?? []
        let base = try load(set: companions)
        let before = setting.text(in: base.configuration)
        let value = try #require(
            Self.candidates.first { candidate in
                guard let loaded = try? load(set: companions + ["\(key)=\(candidate)"]) else { return false }
                return setting.text(in: loaded.configuration) != before
            },
            "no candidate is legal for \(key): \(setting.allowed)"
        )

        let yaml = "\(setting.section):\n  \(setting.name): \(value)\n"
        var sources = [
            (try load(yaml, set: companions), nil),
            (
                try load(environment: [setting.environmentName: value], set: companions),
                ConfigurationOrigin.environment(name: setting.environmentName)
            ),
            (try load(set: companions + ["\(key)=\(value)"]), .flag(name: "--set \(key)")),
        ]
        if let short = setting.shortEnvironmentName {
            sources.append((try load(environment: [short: value], set: companions), .environment(name: short)))
        }
        for flag in ConfigurationFlags.all where flag.key == key {
            var flags = ConfigurationFlags()
            flags.add(flag.name, value)
            sources.append((try load(set: companions, flags: flags), .flag(name: flag.name)))
        }
        for (loaded, origin) in sources {
            #expect(setting.text(in: loaded.configuration) != before)
            if let origin {
                #expect(loaded.origin(of: key) == origin)
            } else if case .file(_, let line) = loaded.origin(of: key) {
                #expect(line == 2)
            } else {
                Issue.record("\(key) does not come from the file but from \(loaded.origin(of: key))")
            }
            // Nothing else changes, except for what says that it follows.
            for other in Setting.all where other.key != key {
                if case .follows = loaded.origin(of: other.key) { continue }
                #expect(other.text(in: loaded.configuration) == other.text(in: base.configuration))
            }
            // What is printed can be configured again.
            let again = try load(set: companions + ["\(key)=\(setting.text(in: loaded.configuration))"])
            #expect(again.configuration == loaded.configuration)
        }
    }

    @Test(arguments: Setting.all.map(\.key))
    func eachSettingRefusesNonsenseFromEverySource(key: String) throws {
        let setting = try #require(Setting.byKey[key])
        let value = try #require(
            Self.nonsense.first { text in
                var configuration = AtlasConfiguration()
                return (try? setting.assign(text, to: &configuration)) == nil
            }
        )
        let expected = "\(key) is \"\(value)\", expected"
        let variable = setting.environmentName
        let inFile = problems("\(setting.section):\n  \(setting.name): \"\(value)\"\n")
        #expect(inFile.count == 1 && inFile[0].contains("atlas.yaml:2: \(expected)"), "\(inFile)")
        let inEnvironment = problems(environment: [variable: value])
        #expect(inEnvironment.count == 1 && inEnvironment[0].hasPrefix("\(variable): \(expected)"), "\(inEnvironment)")
        let inFlag = problems(set: ["\(key)=\(value)"])
        #expect(inFlag.count == 1 && inFlag[0].hasPrefix("--set \(key): \(expected)"), "\(inFlag)")
    }

    @Test(arguments: Setting.all.map(\.key))
    func eachSettingRefusesListsMapsAndNothing(key: String) throws {
        let setting = try #require(Setting.byKey[key])
        for value in ["{a: {b: c}}", "[[1]]", "[{a: [1]}]", ""] {
            let found = problems("\(setting.section):\n  \(setting.name): \(value)\n")
            #expect(found.count == 1 && found[0].contains(key), "\(value): \(found)")
        }
    }
}
