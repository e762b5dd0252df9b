@testable import AtlasConfiguration
import AtlasTypes

extension Target {
    /// Configuration files, and single values of settings.
    static let settings = Target("settings") {
        let values = [
            "1h30m", "500ms", "0", "9223372036854775807us", "64MiB", "10 KB", "8388608TiB", "[::1]:8080", "a.b:0",
            "[{id: a, address: \"a:1\", region_id: 1}]", "node:\n  id: a\n", "cluster: &a\n  nodes: [*a]\n",
        ]
        let files = Setting.all.map { "\($0.section):\n  \($0.name): \($0.text(in: AtlasConfiguration()))\n" }
        return (values + files).map { Array($0.utf8) }
    } run: { input in
        guard let text = String(validating: input, as: UTF8.self) else { return }
        if let duration = DurationText.parse(text) {
            require(DurationText.parse(DurationText.format(duration)) == duration, "\(duration)")
        }
        if let size = ByteSize.parse(text) {
            require(ByteSize.parse(ByteSize.format(size)) == size, "\(size)")
        }
        if let address = HostPort(text) {
            require(HostPort(address.description) == address, "\(address)")
        }
        var configuration = AtlasConfiguration()
        for setting in Setting.all { try? setting.assign(text, to: &configuration) }
        _ = configuration.contradictions { _ in .default }

        var problems: [ConfigurationProblem] = []
        guard let values = try? ConfigurationFile.parse(text, path: "a.yaml", problems: &problems) else { return }
        var loaded = AtlasConfiguration()
        for setting in Setting.all {
            guard let (text, _) = values.values[setting.key] else { continue }
            try? setting.assign(text, to: &loaded)
        }
        _ = loaded.contradictions { _ in .default }
    }
}
