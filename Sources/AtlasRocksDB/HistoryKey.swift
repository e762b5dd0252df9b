internal import Glibc
internal import AtlasTypes

/// Keys of the history: the space's byte, the user key escaped, then its version inverted.
///
/// A zero byte becomes `00 FF`, and `00 01` ends the user key. So user keys keep their order, none is a prefix of
/// another's, and of one key's rows the newest comes first.
enum HistoryKey {
    static let versionBytes = 8
    private static let escapedZero: UInt8 = 0xFF
    private static let terminator: UInt8 = 0x01

    /// Appends the part that all rows of `key` share.
    static func appendPrefix(of key: Key, to bytes: inout [UInt8]) {
        bytes.reserveCapacity(bytes.count + key.bytes.count + 3 + versionBytes)
        bytes.append(Space.history.rawValue)
        let hasZero = key.bytes.withUnsafeBytes { $0.count > 0 && memchr($0.baseAddress!, 0, $0.count) != nil }
        if hasZero {
            for byte in key.bytes {
                bytes.append(byte)
                if byte == 0 { bytes.append(escapedZero) }
            }
        } else {
            bytes.append(contentsOf: key.bytes)
        }
        bytes.append(0)
        bytes.append(terminator)
    }

    static func appendVersion(_ version: Timestamp, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: (~version.rawValue).bigEndian) { bytes.append(contentsOf: $0) }
    }

    static func prefix(of key: Key) -> [UInt8] {
        var bytes: [UInt8] = []
        appendPrefix(of: key, to: &bytes)
        return bytes
    }

    static func encode(_ key: Key, version: Timestamp) -> [UInt8] {
        var bytes = prefix(of: key)
        appendVersion(version, to: &bytes)
        return bytes
    }

    /// How many bytes of a row's key all rows of its user key share; `nil` if it is no key of the history.
    static func prefixCount(_ row: UnsafeRawBufferPointer) -> Int? {
        guard let base = row.baseAddress, row.first == Space.history.rawValue else { return nil }
        var offset = 1
        while offset < row.count, let zero = memchr(base + offset, 0, row.count - offset) {
            let next = base.distance(to: UnsafeRawPointer(zero)) + 1
            guard next < row.count else { return nil }
            if row[next] == terminator { return next + 1 }
            offset = next + 1
        }
        return nil
    }

    /// Takes a row's key apart; `nil` if it is none.
    static func decode(_ row: UnsafeRawBufferPointer) -> (key: Key, version: Timestamp)? {
        guard let prefixCount = prefixCount(row), row.count == prefixCount + versionBytes,
            let key = decodePrefix(UnsafeRawBufferPointer(rebasing: row[..<prefixCount]))
        else { return nil }
        return (key, version(row, prefixCount: prefixCount))
    }

    /// The version in a row's key that is `prefixCount + versionBytes` long.
    static func version(_ row: UnsafeRawBufferPointer, prefixCount: Int) -> Timestamp {
        let inverted = row.loadUnaligned(fromByteOffset: prefixCount, as: UInt64.self)
        return Timestamp(rawValue: ~UInt64(bigEndian: inverted))
    }

    /// The user key of a prefix; `nil` if it holds an escape that does not exist.
    static func decodePrefix(_ prefix: UnsafeRawBufferPointer) -> Key? {
        guard prefix.count >= 3, prefix[prefix.count - 2] == 0, prefix[prefix.count - 1] == terminator else {
            return nil
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(prefix.count - 3)
        var offset = 1
        while offset < prefix.count - 2 {
            let byte = prefix[offset]
            bytes.append(byte)
            offset += 1
            if byte == 0 {
                guard prefix[offset] == escapedZero else { return nil }
                offset += 1
            }
        }
        return offset == prefix.count - 2 ? Key(bytes) : nil
    }
}
