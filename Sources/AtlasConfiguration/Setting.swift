/// One thing that can be configured: its name, its place in `AtlasConfiguration`, what is allowed and what it means.
///
/// Each is declared once, in `Setting.all`. Loading, validation, environment names, `atlas-db config` and
/// `config/atlas.yaml` all follow from there; the default is the value in a fresh `AtlasConfiguration`.
package struct Setting: Sendable {
    /// As in the file and after `--set`: `storage.sync_writes`.
    package let key: String
    /// What it is, in one line.
    package let summary: String
    /// What else there is to know; may be empty.
    package let details: String
    /// What is allowed, as a noun phrase: "a duration from 1s to 24h".
    package let allowed: String
    /// The variable that sets it: `ATLAS_STORAGE_SYNC_WRITES`.
    package let environmentName: String
    /// A second, shorter variable, which wins over the first: `ATLAS_PORT`.
    package let shortEnvironmentName: String?

    private let read: @Sendable (AtlasConfiguration) -> String
    private let write: @Sendable (inout AtlasConfiguration, String) throws(InvalidValue) -> Void

    /// - Parameter short: the part of the short environment name behind `ATLAS_`.
    init<Value>(
        _ key: String,
        _ path: any WritableKeyPath<AtlasConfiguration, Value> & Sendable,
        _ kind: ValueKind<Value>,
        _ summary: String,
        details: String = "",
        short: String? = nil
    ) {
        self.key = key
        self.summary = summary
        self.details = details
        allowed = kind.allowed
        environmentName = "ATLAS_" + key.uppercased().replacing(".", with: "_")
        shortEnvironmentName = short.map { "ATLAS_" + $0 }
        read = { kind.format($0[keyPath: path]) }
        write = { (configuration, text) throws(InvalidValue) in
            configuration[keyPath: path] = try kind.parse(text)
        }
    }

    /// The value in a configuration, in the form in which it can be configured.
    package func text(in configuration: AtlasConfiguration) -> String {
        read(configuration)
    }

    /// Reads a value into a configuration, or says what is wrong with it.
    package func assign(_ text: String, to configuration: inout AtlasConfiguration) throws(InvalidValue) {
        try write(&configuration, text)
    }

    /// The part before the dot.
    package var section: String {
        String(key.prefix { $0 != "." })
    }

    /// The part behind the dot.
    package var name: String {
        String(key.dropFirst(section.count + 1))
    }

    static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })
}

/// Why a value was refused: what was expected instead, as a phrase.
package struct InvalidValue: Error {
    package var expected: String
}

/// How values of one type are written, read and checked.
package struct ValueKind<Value: Sendable>: Sendable {
    /// As a noun phrase.
    package var allowed: String
    package var parse: @Sendable (String) throws(InvalidValue) -> Value
    var format: @Sendable (Value) -> String

    /// - Parameter examples: legal values, to be shown to who gave another.
    init(
        allowed: String,
        examples: String? = nil,
        format: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (String) -> Value?
    ) {
        self.allowed = allowed
        self.format = format
        self.parse = { (text) throws(InvalidValue) in
            guard let value = parse(text) else {
                throw InvalidValue(expected: allowed + (examples.map { ", such as \($0)" } ?? ""))
            }
            return value
        }
    }

    init(
        allowed: String,
        format: @escaping @Sendable (Value) -> String,
        checking parse: @escaping @Sendable (String) throws(InvalidValue) -> Value
    ) {
        self.allowed = allowed
        self.format = format
        self.parse = parse
    }
}
