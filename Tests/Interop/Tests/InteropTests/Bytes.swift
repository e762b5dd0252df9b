import GRPCCore

/// Messages as they are: bytes.
struct BytesSerializer: MessageSerializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
}

struct BytesDeserializer: MessageDeserializer {
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
        bytes.withUnsafeBytes { Array($0) }
    }
}

extension MethodDescriptor {
    /// A method of `interop.Interop`.
    static func interop(_ method: String) -> MethodDescriptor {
        MethodDescriptor(fullyQualifiedService: "interop.Interop", method: method)
    }
}

extension [UInt8] {
    init(_ text: String) { self.init(text.utf8) }
    var text: String { String(decoding: self, as: UTF8.self) }
}
