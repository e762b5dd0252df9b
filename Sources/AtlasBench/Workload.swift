package import AtlasClient
package import struct AtlasTypes.Random

/// What the operations of a run are: which kind, which key, which value.
package struct Workload: Sendable {
    package enum Kind: Int, CaseIterable, Sendable {
        case get
        case put
        case delete
        case scan

        package var name: String { "\(self)" }
    }

    /// Which part of the operations is of a kind; what is left are puts.
    package struct Mix: Sendable {
        package var gets: Double
        package var deletes: Double
        package var scans: Double

        package init(gets: Double, deletes: Double, scans: Double) {
            self.gets = gets
            self.deletes = deletes
            self.scans = scans
        }
    }

    package var mix: Mix
    package var keys: KeyDistribution
    package var keySize: Int
    package var valueSize: Int
    package var scanLimit: Int
    package var consistency: Consistency?
    private let noise: [UInt8]

    /// Random bytes of which values are cut, so that they do not compress.
    private static let noiseBytes = 1 << 20

    package init(
        mix: Mix,
        keys: KeyDistribution,
        keySize: Int,
        valueSize: Int,
        scanLimit: Int,
        consistency: Consistency?,
        seed: UInt64
    ) {
        self.mix = mix
        self.keys = keys
        self.keySize = keySize
        self.valueSize = valueSize
        self.scanLimit = scanLimit
        self.consistency = consistency
        var random = Random(seed: seed)
        noise = (0..<(Self.noiseBytes + valueSize) / 8 + 1).flatMap { _ in
            withUnsafeBytes(of: random.next()) { Array($0) }
        }
    }

    package func kind(_ random: inout Random) -> Kind {
        var part = Double.random(in: 0..<1, using: &random)
        for (kind, share) in [(Kind.get, mix.gets), (.delete, mix.deletes), (.scan, mix.scans)] {
            if part < share { return kind }
            part -= share
        }
        return .put
    }

    /// `key` and the number, with zeros between them up to the size of keys.
    package func key(_ number: UInt64) -> Bytes {
        Bytes(
            [UInt8](unsafeUninitializedCapacity: keySize) { buffer, count in
                var rest = number
                for index in stride(from: keySize - 1, through: 0, by: -1) {
                    buffer[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                for (index, letter) in "key".utf8.enumerated() where index < keySize - Self.digitsMax {
                    buffer[index] = letter
                }
                count = keySize
            }
        )
    }

    package func value(_ random: inout Random) -> Bytes {
        let offset = Int(truncatingIfNeeded: random.next() % UInt64(Self.noiseBytes))
        return Bytes(Array(noise[offset..<offset + valueSize]))
    }

    /// Digits of the largest number of keys.
    package static let digitsMax = 10
    package static let keysMax: UInt64 = 9_999_999_999

    /// Runs one operation.
    /// - Returns: whether there was something: a get or a delete of an absent key finds nothing.
    package func run(
        _ kind: Kind,
        on store: any AtlasStore,
        _ random: inout Random
    ) async throws(AtlasError) -> Bool {
        let key = key(keys.draw(&random))
        switch kind {
        case .get:
            var options = GetOptions()
            options.consistency = consistency
            return try await store.get(key, options: options) != nil
        case .put:
            try await store.put(key, value(&random), options: PutOptions())
            return true
        case .delete:
            return try await store.delete(key, options: DeleteOptions()).existed
        case .scan:
            var options = ScanOptions.limit(scanLimit)
            options.consistency = consistency
            var isEmpty = true
            var pages = store.scan(ScanRange(from: key), options: options).pages.makeAsyncIterator()
            while let page = try await pages.next(isolation: nil) {
                if !page.entries.isEmpty { isEmpty = false }
            }
            return !isEmpty
        }
    }
}
