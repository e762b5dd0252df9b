/// A 64-bit chain hash over what has been applied, to compare replicas: fast and well mixed, not cryptographic.
/// The mixing step is the finalizer of MurmurHash3 (Appleby).
package struct StateHash: Hashable, Sendable {
    package private(set) var value: UInt64

    package init(seed: UInt64) {
        value = seed
    }

    package mutating func mix(_ word: UInt64) {
        var h = (value ^ word) &* 0x9E37_79B9_7F4A_7C15
        h ^= h >> 33
        h = h &* 0xFF51_AFD7_ED55_8CCD
        h ^= h >> 33
        value = h
    }

    package mutating func mix(_ bytes: [UInt8]) {
        mix(UInt64(bytes.count))
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset &+ 8 <= raw.count {
                mix(UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                offset &+= 8
            }
            var tail: UInt64 = 0
            while offset < raw.count {
                tail = (tail << 8) | UInt64(raw[offset])
                offset &+= 1
            }
            mix(tail)
        }
    }
}
