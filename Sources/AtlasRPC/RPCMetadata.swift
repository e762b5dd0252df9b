internal import NIOHPACK

/// Metadata of a call, in the order in which it was added. Names are lower case; names that end in `-bin` carry bytes.
package struct RPCMetadata: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// One value as it travels: bytes are base64 text.
    struct Entry: Sendable, Hashable {
        var name: String
        var value: String
    }

    private(set) var entries: [Entry] = []

    /// No metadata.
    package init() {}

    /// Text entries, in order.
    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }

    /// The metadata in received headers: everything except what HTTP and gRPC use themselves.
    init(headers: HPACKHeaders) {
        for (name, value, _) in headers where !Self.isReserved(name) {
            entries.append(Entry(name: name, value: value))
        }
    }

    /// True if there is nothing here.
    package var isEmpty: Bool { entries.isEmpty }

    /// The first value under this name, as text; for a `-bin` name this is the base64 text.
    package subscript(name: String) -> String? {
        entries.first { $0.name == name }?.value
    }

    /// All values under this name, in order.
    package func values(_ name: String) -> [String] {
        entries.filter { $0.name == name }.map(\.value)
    }

    /// The first value under this `-bin` name, decoded; nil if there is none or it is not base64.
    package func binary(_ name: String) -> [UInt8]? {
        // Several values may arrive joined by commas (gRPC over HTTP/2, "Custom-Metadata").
        guard let first = self[name]?.split(separator: ",", omittingEmptySubsequences: false).first else { return nil }
        return Base64.decode(first)
    }

    /// Adds a text value. Values hold printable ASCII; other characters are dropped, because HTTP could not carry them.
    package mutating func add(_ name: String, _ value: String) {
        let name = name.lowercased()
        precondition(!name.hasSuffix("-bin"), "a name that ends in -bin carries bytes")
        precondition(Self.isValidName(name), "not a metadata name: \(name)")
        let clean = value.utf8.allSatisfy { (0x20...0x7e).contains($0) }
        entries.append(
            Entry(
                name: name,
                value: clean ? value : String(decoding: value.utf8.filter { (0x20...0x7e).contains($0) }, as: UTF8.self)
            )
        )
    }

    /// Adds bytes under a name that ends in `-bin`.
    package mutating func add(_ name: String, binary bytes: [UInt8]) {
        let name = name.lowercased()
        precondition(name.hasSuffix("-bin"), "a name for bytes ends in -bin")
        precondition(Self.isValidName(name), "not a metadata name: \(name)")
        entries.append(Entry(name: name, value: Base64.encode(bytes)))
    }

    /// Appends these entries to headers that are about to be sent.
    func append(to headers: inout HPACKHeaders) {
        for entry in entries { headers.add(name: entry.name, value: entry.value) }
    }

    private static func isReserved(_ name: String) -> Bool {
        name.utf8.first == UInt8(ascii: ":") || name.hasPrefix("grpc-") || name == "content-type" || name == "te"
    }

    private static func isValidName(_ name: String) -> Bool {
        !name.isEmpty && !isReserved(name)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
                default: false
                }
            }
    }
}
