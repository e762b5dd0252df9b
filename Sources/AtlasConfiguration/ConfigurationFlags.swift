/// What was given on the command line, by the names of the flags.
package struct ConfigurationFlags: Sendable {
    /// A flag of its own for a setting.
    package struct Flag: Sendable {
        /// As typed: `--node-id`.
        package let name: String
        /// The setting that it sets.
        package let key: String
        /// What stands for the value in the help; nil for a switch that means `true`.
        package let valueName: String?
    }

    /// All flags that have a name of their own. Every setting can be given as `--set section.key=value`.
    package static let all = [
        Flag(name: "--node-id", key: "node.id", valueName: "name"),
        Flag(name: "--address", key: "node.address", valueName: "host:port"),
        Flag(name: "--region-id", key: "node.region_id", valueName: "number"),
        Flag(name: "--data-dir", key: "node.data_dir", valueName: "directory"),
        Flag(name: "--insecure", key: "transport.insecure", valueName: nil),
    ]

    private var given: [(key: String, text: String, flag: String)] = []
    private var problems: [ConfigurationProblem] = []

    package init() {}

    /// Takes the value of a flag; nil, for a flag that was not given, changes nothing.
    /// - Parameter name: one of `ConfigurationFlags.all`.
    package mutating func add(_ name: String, _ value: String?) {
        guard let flag = Self.all.first(where: { $0.name == name }) else {
            preconditionFailure("\(name) is not in ConfigurationFlags.all")
        }
        if let value { given.append((flag.key, value, name)) }
    }

    /// Takes the argument of `--set`: `section.key=value`. What is wrong with it is reported with all other problems.
    package mutating func set(_ assignment: String) {
        guard let equals = assignment.firstIndex(of: "=") else {
            problems.append(
                ConfigurationProblem(
                    "expected section.key=value, not \(quoted(assignment))",
                    origin: .flag(name: "--set")
                )
            )
            return
        }
        let key = String(assignment[..<equals])
        given.append((key, String(assignment[assignment.index(after: equals)...]), "--set \(key)"))
    }

    /// The flags as the topmost layer. A key that is given twice must have one value.
    func layer(problems: inout [ConfigurationProblem]) -> ConfigurationLayer {
        problems += self.problems
        var values = PlacedValues(providerName: "flags")
        for (key, text, flag) in given {
            if Setting.byKey[key] == nil {
                problems.append(
                    ConfigurationProblem(
                        unknown: key,
                        what: "key",
                        origin: .flag(name: "--set"),
                        known: Setting.byKey.keys
                    )
                )
            } else if let first = values.values[key], first.text != text {
                problems.append(
                    ConfigurationProblem(
                        "\(key) is \(quoted(first.text)) by \(first.place) and \(quoted(text)) by \(flag)",
                        origin: .flag(name: "flags")
                    )
                )
            } else {
                values.values[key] = (text, flag)
            }
        }
        return ConfigurationLayer(snapshot: values) { .flag(name: $0) }
    }
}
