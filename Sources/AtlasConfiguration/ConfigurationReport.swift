internal import AtlasTypes

extension LoadedConfiguration {
    /// One line of `atlas-db config`.
    package struct Row: Hashable, Sendable {
        package var key: String
        /// The value in force, in the form in which it can be configured.
        package var value: String
        package var origin: ConfigurationOrigin
        package var summary: String
    }

    /// Every setting with its value in force, in the order of the documentation.
    package var rows: [Row] {
        Setting.all.map { setting in
            Row(
                key: setting.key,
                value: setting.text(in: configuration),
                origin: origin(of: setting.key),
                summary: setting.summary
            )
        }
    }

    /// The rows as aligned columns with a heading; each line ends with a newline.
    package var table: String {
        let cells =
            [["KEY", "VALUE", "ORIGIN", "DESCRIPTION"]]
            + rows.map { [$0.key, $0.value, $0.origin.description, $0.summary] }
        let widths = (0..<3).map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            let padded = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return (padded + [row[3]]).joined(separator: "  ") + "\n"
        }.joined()
    }

    /// The rows as a JSON array of objects with the fields `key`, `value`, `origin`, `description`.
    package var json: String {
        let objects = rows.map { row in
            let fields = [
                ("key", row.key), ("value", row.value), ("origin", row.origin.description),
                ("description", row.summary),
            ]
            return "  {" + fields.map { "\(JSONText.string($0)): \(JSONText.string($1))" }.joined(separator: ", ") + "}"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }
}

/// `config/atlas.yaml`: all settings at their defaults, commented out and explained.
package enum ConfigurationTemplate {
    package static func render() -> String {
        let defaults = AtlasConfiguration()
        var text = preamble
        for section in Setting.sections {
            text += "\n" + comment(section.summary, indent: 0) + "\(section.name):\n"
            for setting in Setting.all where setting.section == section.name {
                let explanation = [setting.summary, setting.details].filter { !$0.isEmpty }.joined(separator: " ")
                let names = [setting.environmentName] + [setting.shortEnvironmentName].compactMap(\.self)
                text += comment(explanation, indent: 2)
                text += comment("Allowed: \(setting.allowed).", indent: 2)
                text += comment("Environment: \(Set(names).sorted().joined(separator: ", "))", indent: 2)
                text += "  #\(setting.name): \(setting.text(in: defaults))\n\n"
            }
            text.removeLast()
        }
        return text
    }

    private static let preamble = """
        # Configuration of an Atlas DB node.
        #
        # A line such as "#port: 8080" shows a key with its default; remove the "#" to change it. Values come from this
        # file, then from the environment, then from flags (atlas-db start --help); what comes later wins.
        # "atlas-db config" prints what is in force and where each value comes from. Unknown keys are refused.
        #
        # Durations: 500ms, 10s, 5m, 1h30m. Sizes: bytes (65536), or with a unit: 64KiB (1024), 64KB (1000).

        """

    private static let widthMax = 118

    /// Text as comment lines, wrapped.
    private static func comment(_ text: String, indent: Int) -> String {
        let start = String(repeating: " ", count: indent) + "#"
        var lines = [start]
        for word in text.split(separator: " ") {
            if lines[lines.count - 1].count + 1 + word.count > widthMax { lines.append(start) }
            lines[lines.count - 1] += " " + word
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
