internal import Configuration

/// One source of values. Later layers win over earlier ones.
///
/// The values come from a snapshot of swift-configuration, so that a layer can be any of its providers.
struct ConfigurationLayer {
    var snapshot: any ConfigSnapshot
    /// Makes the origin of what a lookup calls the key it found (`LookupResult.encodedKey`).
    var origin: (String) -> ConfigurationOrigin

    /// The value of a setting in this layer, and where exactly it comes from.
    func value(of setting: Setting) throws -> (text: String, origin: ConfigurationOrigin)? {
        let result = try snapshot.value(forKey: AbsoluteConfigKey(ConfigKey(setting.key)), type: .string)
        guard case .string(let text) = result.value?.content else { return nil }
        return (text, origin(result.encodedKey))
    }
}

/// Values that each know their place: a line of a file, a flag.
struct PlacedValues: ConfigSnapshot {
    var providerName: String
    /// By key; the place is what lookups give as the encoded key.
    var values: [String: (text: String, place: String)] = [:]

    func value(forKey key: AbsoluteConfigKey, type: ConfigType) throws -> LookupResult {
        let name = key.components.joined(separator: ".")
        guard let value = values[name] else { return LookupResult(encodedKey: name, value: nil) }
        return LookupResult(encodedKey: value.place, value: ConfigValue(.string(value.text), isSecret: false))
    }
}
