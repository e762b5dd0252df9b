internal import AtlasCore
internal import CRocksDB

/// Calls into RocksDB that report an error through a `char **`.
func checked<R>(
    as mapping: (String) -> StoreError = StoreError.init(rocksDB:),
    _ call: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
) throws(StoreError) -> R {
    var message: UnsafeMutablePointer<CChar>?
    let result = call(&message)
    guard let message else { return result }
    defer { rocksdb_free(message) }
    throw mapping(String(cString: message))
}

extension StoreError {
    /// The error of a read, or of anything else that is not a commit.
    init(rocksDB message: String) {
        if Self.isIncomplete(message) {
            self = .notInMemory
        } else if message.hasPrefix("Corruption") {
            self = .corrupt(message)
        } else if message.contains("No space left") || message.contains("Space limit reached") {
            self = .diskFull(message)
        } else {
            self = .failed(message)
        }
    }

    /// The error of a commit.
    init(rocksDBCommit message: String) {
        self = Self.isIncomplete(message) ? .writeStalled : StoreError(rocksDB: message)
    }

    private static func isIncomplete(_ message: String) -> Bool {
        message.hasPrefix("Result incomplete")
    }
}

/// Lends bytes to RocksDB, which takes signed characters.
@inline(__always)
func withCharacters<R, E: Error>(
    of bytes: [UInt8],
    _ body: (UnsafePointer<CChar>?, Int) throws(E) -> R
) throws(E) -> R {
    try bytes.withUnsafeBufferPointer { (buffer) throws(E) -> R in
        try body(buffer.characters, buffer.count)
    }
}

extension UnsafeBufferPointer<UInt8> {
    var characters: UnsafePointer<CChar>? {
        UnsafeRawPointer(baseAddress)?.assumingMemoryBound(to: CChar.self)
    }
}

extension UnsafeRawBufferPointer {
    var characters: UnsafePointer<CChar>? {
        baseAddress?.assumingMemoryBound(to: CChar.self)
    }
}
