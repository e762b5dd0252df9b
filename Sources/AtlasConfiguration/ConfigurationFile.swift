internal import Configuration
internal import Glibc
internal import Yams
internal import AtlasTypes

/// A configuration file: YAML, sections of keys, each key with a plain value or a list of maps of plain values.
///
/// Read with Yams itself and not through `YAMLSnapshot`, which keeps no lines and refuses lists of maps.
enum ConfigurationFile {
    /// A larger file is refused unread.
    static let sizeMaxBytes = 1 << 20
    /// Where a file is looked for if none is named.
    static let searchPaths = ["./config/atlas.yaml", "/etc/atlas/atlas.yaml"]

    /// The layer of a file. What is wrong with single keys is added to the problems.
    /// - Throws: what makes the file as a whole unusable.
    static func layer(
        path: String,
        problems: inout [ConfigurationProblem]
    ) throws(ConfigurationError) -> ConfigurationLayer {
        let text = try decode(try read(path), path: path)
        let values = try parse(text, path: path, problems: &problems)
        return ConfigurationLayer(snapshot: values) { .file(path: path, line: Int($0) ?? 0) }
    }

    /// Whether there is something at the path, readable or not.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 || (errno != ENOENT && errno != ENOTDIR)
    }

    private static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while true {
            var failure: CInt = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                let result = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                failure = result < 0 ? errno : 0
                count = max(result, 0)
            }
            if failure == EINTR { continue }
            if failure != 0 { throw unreadable(path, failure) }
            if chunk.isEmpty { return bytes }
            bytes += chunk
            if bytes.count > sizeMaxBytes {
                throw ConfigurationError(
                    "\(path): larger than \(ByteSize.format(sizeMaxBytes)), not a configuration file"
                )
            }
        }
    }

    private static func unreadable(_ path: String, _ code: CInt) -> ConfigurationError {
        ConfigurationError("\(path): cannot be read: \(String(cString: strerror(code)))")
    }

    private static func decode(_ bytes: [UInt8], path: String) throws(ConfigurationError) -> String {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let content = bytes.starts(with: mark) ? bytes[3...] : bytes[...]
        if let text = String(validating: content, as: UTF8.self) { return text }
        var valid = 0
        var validator = content.makeIterator()
        var decoder = UTF8()
        while case .scalarValue(let scalar) = decoder.decode(&validator) {
            valid += scalar == "\n" ? 1 : 0
        }
        throw ConfigurationError("not UTF-8 text", origin: .file(path: path, line: valid + 1))
    }

    static func parse(
        _ text: String,
        path: String,
        problems: inout [ConfigurationProblem]
    ) throws(ConfigurationError) -> PlacedValues {
        var walk = Walk(path: path)
        do {
            let parser = try Parser(yaml: text, encoding: .utf8)
            // Anchors live as long as their parser.
            try withExtendedLifetime(parser) {
                if let root = try parser.singleRoot() { walk.visit(root: root) }
            }
        } catch let error as YamlError {
            throw ConfigurationError([ConfigurationProblem(error, path: path)])
        } catch {
            throw ConfigurationError("\(path): cannot be read as YAML: \(error)")
        }
        problems += walk.problems
        return walk.values
    }
}

/// Collects the values of a parsed file. It goes no deeper than the format does.
private struct Walk {
    let path: String
    var values = PlacedValues(providerName: "file")
    var problems: [ConfigurationProblem] = []

    init(path: String) {
        self.path = path
    }

    mutating func visit(root: Yams.Node) {
        if isNull(root) { return }
        guard let sections = root.mapping else {
            return report(
                "expected sections of keys (\(Setting.sections.map(\.name).joined(separator: ", ")))",
                at: root
            )
        }
        for (name, section) in sections {
            visit(section: section, named: name)
        }
    }

    private mutating func visit(section: Yams.Node, named name: Yams.Node) {
        guard let section = section.mapping else {
            // A section in which everything is commented out.
            if isNull(section), isSection(name) { return }
            return isSection(name)
                ? report("\(name.string ?? "") is a section, expected keys in it", at: name)
                : reportUnknown(name.string ?? "", what: "section", known: Setting.sections.map(\.name), at: name)
        }
        guard isSection(name), let sectionName = name.string else {
            return reportUnknown(name.string ?? "", what: "section", known: Setting.sections.map(\.name), at: name)
        }
        for (key, value) in section {
            visit(value: value, of: "\(sectionName).\(key.string ?? "")", at: key)
        }
    }

    private mutating func visit(value: Yams.Node, of key: String, at place: Yams.Node) {
        guard Setting.byKey[key] != nil else {
            return reportUnknown(key, what: "key", known: Setting.byKey.keys.sorted(), at: place)
        }
        if isNull(value) {
            return report("\(key) has no value; leave the key out to get the default", at: place)
        }
        guard let text = FlowList.text(of: value) else {
            return report("\(key) is nested too deep, or uses anchors, which are not supported", at: place)
        }
        values.values[key] = (text, "\(place.mark?.line ?? 0)")
    }

    private func isNull(_ node: Yams.Node) -> Bool {
        guard let scalar = node.scalar else { return false }
        return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    private func isSection(_ node: Yams.Node) -> Bool {
        Setting.sections.contains { $0.name == node.string }
    }

    private mutating func report(_ message: String, at node: Yams.Node) {
        problems.append(ConfigurationProblem(message, origin: .file(path: path, line: node.mark?.line ?? 0)))
    }

    private mutating func reportUnknown(_ name: String, what: String, known: [String], at node: Yams.Node) {
        problems.append(
            ConfigurationProblem(
                unknown: name,
                what: what,
                origin: .file(path: path, line: node.mark?.line ?? 0),
                known: known
            )
        )
    }
}

/// Lists of maps as text on one line, the form in which they travel through the layers.
enum FlowList {
    /// A plain value as it is; a list of maps of plain values in brackets; nil for what is nested deeper or has an anchor.
    static func text(of node: Yams.Node) -> String? {
        switch node {
        case .scalar(let scalar):
            return scalar.string
        case .sequence(let sequence):
            let items = sequence.map { $0.scalar.map { quote($0.string) } ?? map(of: $0) }
            return sequence.anchor != nil || items.contains(nil)
                ? nil : "[" + items.compactMap(\.self).joined(separator: ", ") + "]"
        case .mapping, .alias:
            return map(of: node)
        }
    }

    private static func map(of node: Yams.Node) -> String? {
        guard let mapping = node.mapping, mapping.anchor == nil else { return nil }
        var fields: [String] = []
        for (key, value) in mapping {
            guard let key = key.scalar, let value = value.scalar else { return nil }
            fields.append("\(quote(key.string)): \(quote(value.string))")
        }
        return "{" + fields.joined(separator: ", ") + "}"
    }

    /// Reads what `text(of:)` wrote, or what somebody typed; nil if it is no list of maps of plain values.
    static func parse(_ text: String) -> [[String: String]]? {
        guard text.utf8.count <= ConfigurationFile.sizeMaxBytes,
            let parser = try? Parser(yaml: text, encoding: .utf8), let node = try? parser.singleRoot(),
            let sequence = node.sequence
        else { return nil }
        var items: [[String: String]] = []
        for item in sequence {
            guard let mapping = item.mapping else { return nil }
            var fields: [String: String] = [:]
            for (key, value) in mapping {
                guard let key = key.string, let value = value.string else { return nil }
                fields[key] = value
            }
            items.append(fields)
        }
        return items
    }

    private static func quote(_ text: String) -> String {
        JSONText.string(text)
    }
}

extension ConfigurationProblem {
    /// What the YAML parser says, with the place in front and without the excerpt of the file.
    fileprivate init(_ error: YamlError, path: String) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init("not YAML: \(problem)", origin: .file(path: path, line: mark.line))
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map(quoted).joined(separator: ", ")
            self.init("given more than once: \(names)", origin: .file(path: path, line: context.mark.line))
        case .reader(let problem, let offset, _, let yaml):
            let line = yaml.utf8.prefix(offset ?? 0).count { $0 == UInt8(ascii: "\n") } + 1
            self.init("not YAML: \(problem)", origin: .file(path: path, line: line))
        default:
            self.init("\(path): cannot be read as YAML: \(error)")
        }
    }
}
