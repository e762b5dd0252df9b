internal import Configuration

extension ConfigurationLayer {
    /// The layers of the environment: the full names, and above them the short ones.
    static func environment(_ variables: [String: String], problems: inout [ConfigurationProblem])
        -> [ConfigurationLayer]
    {
        let named = variables.filter { $0.key.hasPrefix("ATLAS_") && !isServiceLink($0.key, $0.value) }
        problems += unknownVariables(named.keys.sorted())
        // Set to nothing is not set: what starts a process often has no other way to leave a variable out.
        let variables = named.filter { !$0.value.isEmpty }
        let provider = EnvironmentVariablesProvider(environmentVariables: variables)
        let full = provider.prefixKeys(with: "atlas")
        let short = provider.mapKeys { key in
            let name = Setting.byKey[key.components.joined(separator: ".")]?.shortEnvironmentName
            return AbsoluteConfigKey([name ?? noVariable])
        }
        return [full.snapshot(), short.snapshot()].map { snapshot in
            ConfigurationLayer(snapshot: snapshot) { .environment(name: $0) }
        }
    }

    /// Looked up for a setting without a short name; no variable is called that.
    private static let noVariable = ""

    /// Kubernetes describes each service to each container in variables; for services named `atlas` or `atlas-node`, some of
    /// them look like settings (`ATLAS_PORT=tcp://10.0.0.1:8080`).
    private static func isServiceLink(_ name: String, _ value: String) -> Bool {
        value.hasPrefix("tcp://") || value.hasPrefix("udp://") || name.contains("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT") || name.contains(/_PORT_[0-9]+_(TCP|UDP)/)
    }

    /// Variables that look like settings and are none: they begin with a section, or are close to a known name. Other
    /// variables that begin with `ATLAS_` may belong to something else.
    private static func unknownVariables(_ names: [String]) -> [ConfigurationProblem] {
        let known = Set(Setting.all.flatMap { [$0.environmentName] + [$0.shortEnvironmentName].compactMap(\.self) })
        let prefixes = Setting.sections.map { "ATLAS_\($0.name.uppercased())_" }
        return names.filter { name in
            !known.contains(name)
                && (prefixes.contains { name.hasPrefix($0) } || known.contains { edits(from: name, to: $0) <= 2 })
        }.map { name in
            ConfigurationProblem(
                unknown: name,
                what: "variable",
                origin: .environment(name: "environment"),
                known: known
            )
        }
    }
}
