internal import AtlasClient
internal import AtlasConsole

/// One operation of a batch as it was written: in words or as JSON.
struct BatchOperation {
    enum Kind: String, CaseIterable {
        case get
        case put
        case delete
    }

    var kind: Kind
    var key: Bytes
    /// Of a put.
    var value = Bytes()
    var condition: Condition?
    /// Of a put.
    var ttl: Duration?
    /// Of a put or delete.
    var returnsPrevious = false

    func add(to batch: inout Batch) {
        switch kind {
        case .get: batch.get(key, if: condition)
        case .put: batch.put(key, value, if: condition, ttl: ttl, returnsPrevious: returnsPrevious)
        case .delete: batch.delete(key, if: condition, returnsPrevious: returnsPrevious)
        }
    }
}

/// Why an operation cannot be read; the caller knows where it stands.
struct BatchSyntaxError: Error {
    var message: String

    init(_ message: String) {
        self.message = message
    }
}

// MARK: - In words

extension BatchOperation {
    /// Reads `put KEY VALUE`, `get KEY` or `delete KEY`, with `if-absent`, `if-exists`, `if-version N`, `if-value V`,
    /// `ttl DURATION` and `previous` behind it. Words with spaces stand in quotes.
    /// - Parameter bytes: makes keys and values of words.
    init(words text: String, bytes: (String) throws -> Bytes) throws {
        var words = try BatchWords.split(text)[...]
        func next(_ what: String) throws -> String {
            guard let word = words.popFirst() else { throw BatchSyntaxError("\(what) is missing") }
            return word
        }
        let name = try next("the operation")
        guard let kind = Kind(rawValue: name.lowercased()) else {
            throw BatchSyntaxError("\"\(name)\" is no operation, expected put, get or delete")
        }
        self.init(kind: kind, key: try bytes(try next("the key")))
        if kind == .put { value = try bytes(try next("the value")) }
        while let word = words.popFirst() {
            switch word.lowercased() {
            case "if-absent": try set(.absent)
            case "if-exists": try set(.exists)
            case "if-version": try set(.version(try Self.version(try next("the version"))))
            case "if-value": try set(.valueEquals(try bytes(try next("the value of if-value"))))
            case "ttl": try set(ttl: try next("the duration of ttl"))
            case "previous": try setReturnsPrevious()
            default:
                throw BatchSyntaxError(
                    """
                    "\(word)" is not expected here; behind an operation may stand if-absent, if-exists, if-version N, \
                    if-value V, ttl DURATION and previous
                    """
                )
            }
        }
    }

    mutating func set(_ condition: Condition) throws {
        guard self.condition == nil else { throw BatchSyntaxError("there is more than one condition") }
        self.condition = condition
    }

    mutating func set(ttl text: String) throws {
        guard kind == .put else { throw BatchSyntaxError("only a put has a ttl") }
        guard let length = TimeLength(argument: text), length.duration > .zero else {
            throw BatchSyntaxError("the ttl is \"\(text)\", expected a duration such as 30s")
        }
        ttl = length.duration
    }

    mutating func setReturnsPrevious() throws {
        guard kind != .get else { throw BatchSyntaxError("a get has no previous value") }
        returnsPrevious = true
    }

    static func version(_ text: String) throws -> Version {
        guard let version = Version(text), version >= 0 else {
            throw BatchSyntaxError("the version is \"\(text)\", expected a whole number")
        }
        return version
    }
}

/// Splits a line into words. Between double quotes, `\"`, `\\`, `\n`, `\r` and `\t` are escapes; between single quotes
/// everything stands for itself.
enum BatchWords {
    static func split(_ text: String) throws -> [String] {
        var words: [String] = []
        var rest = text[...]
        while true {
            rest = rest.drop { $0.isWhitespace }
            if rest.isEmpty { return words }
            words.append(try takeWord(&rest))
        }
    }

    private static func takeWord(_ rest: inout Substring) throws -> String {
        var word = ""
        while let character = rest.first, !character.isWhitespace {
            rest.removeFirst()
            switch character {
            case "\"": word += try takeQuoted(&rest, until: "\"", hasEscapes: true)
            case "'": word += try takeQuoted(&rest, until: "'", hasEscapes: false)
            default: word.append(character)
            }
        }
        return word
    }

    private static func takeQuoted(_ rest: inout Substring, until end: Character, hasEscapes: Bool) throws -> String {
        var text = ""
        while let character = rest.popFirst() {
            if character == end { return text }
            if character == "\\" && hasEscapes {
                text.append(try escape(rest.popFirst()))
            } else {
                text.append(character)
            }
        }
        throw BatchSyntaxError("the closing \(end) is missing")
    }

    private static func escape(_ character: Character?) throws -> Character {
        switch character {
        case "\"", "\\": return character!
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        default: throw BatchSyntaxError(#"behind \ may stand ", \, n, r or t"#)
        }
    }
}
