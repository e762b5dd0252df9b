internal import AtlasTypes

/// A configuration that was read from its sources, checked, and knows where each value comes from.
package struct LoadedConfiguration: Sendable {
    package var configuration: AtlasConfiguration
    /// The file that was read, if any.
    package var file: String?
    /// Of the keys that are not at their default.
    private var origins: [String: ConfigurationOrigin] = [:]

    /// Reads the file, then the environment, then the flags; what comes later wins.
    ///
    /// - Parameters:
    ///   - file: the file to read; nil: the first one there is of `searchPaths`, or none.
    ///   - environment: the variables of the process.
    ///   - flags: what was given on the command line.
    /// - Throws: everything that is wrong, at once.
    package static func load(
        file: String? = nil,
        searchPaths: [String]? = nil,
        environment: [String: String],
        flags: ConfigurationFlags = ConfigurationFlags()
    ) throws(ConfigurationError) -> LoadedConfiguration {
        let path = file ?? (searchPaths ?? ConfigurationFile.searchPaths).first { ConfigurationFile.exists($0) }
        var loaded = LoadedConfiguration(configuration: AtlasConfiguration(), file: path)
        var problems: [ConfigurationProblem] = []
        var layers: [ConfigurationLayer] = []
        if let path {
            do {
                layers.append(try ConfigurationFile.layer(path: path, problems: &problems))
            } catch {
                problems += error.problems
            }
        }
        layers += ConfigurationLayer.environment(environment, problems: &problems)
        layers.append(flags.layer(problems: &problems))
        for layer in layers {
            loaded.apply(layer, problems: &problems)
        }
        // Values that are wrong by themselves would only cause more, and misleading, problems among each other.
        if problems.isEmpty {
            loaded.followMember()
            loaded.followPort()
            problems += loaded.configuration.contradictions(origin: loaded.origin(of:))
        }
        guard problems.isEmpty else { throw ConfigurationError(problems) }
        return loaded
    }

    /// Where the value of a key comes from.
    package func origin(of key: String) -> ConfigurationOrigin {
        origins[key] ?? .default
    }

    private mutating func apply(_ layer: ConfigurationLayer, problems: inout [ConfigurationProblem]) {
        for setting in Setting.all {
            do {
                guard let (text, origin) = try layer.value(of: setting) else { continue }
                do {
                    try setting.assign(text, to: &configuration)
                    origins[setting.key] = origin
                } catch {
                    problems.append(
                        ConfigurationProblem(key: setting.key, value: text, origin: origin, expected: error.expected)
                    )
                }
            } catch {
                problems.append(ConfigurationProblem("\(setting.key) cannot be read: \(error)"))
            }
        }
    }

    /// This node's entry in `cluster.nodes` gives its address and its region.
    private mutating func followMember() {
        guard let own = configuration.cluster.nodes.first(where: { $0.name == configuration.node.name }) else { return }
        if origin(of: "node.address") == .default {
            configuration.node.address = own.address
            origins["node.address"] = .follows(key: "cluster.nodes")
        }
        if origin(of: "node.region_id") == .default {
            configuration.node.region = own.region
            origins["node.region_id"] = .follows(key: "cluster.nodes")
        }
    }

    /// The port of `node.address` and `transport.port` are one port: what was not set follows what was, and of two
    /// different ones the later source wins. Only with `transport.host` may both be set to different ports.
    private mutating func followPort() {
        guard configuration.node.address.port != configuration.node.transport.port else { return }
        let addressRank = rank(of: "node.address")
        let portRank = rank(of: "transport.port")
        let isSeparate = configuration.node.transport.host != nil && addressRank > 0 && portRank > 0
        if isSeparate || addressRank == portRank { return }
        if addressRank > portRank {
            configuration.node.transport.port = configuration.node.address.port
            origins["transport.port"] = .follows(key: "node.address")
        } else if origin(of: "node.address") != .follows(key: "cluster.nodes") {
            configuration.node.address.port = configuration.node.transport.port
            origins["node.address"] = .follows(key: "transport.port")
        }
    }

    /// The rank of the source that decided about a key.
    private func rank(of key: String) -> Int {
        let origin = origin(of: key)
        if case .follows(let other) = origin { return rank(of: other) }
        return origin.rank
    }
}
