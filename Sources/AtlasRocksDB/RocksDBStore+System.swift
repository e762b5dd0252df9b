package import AtlasCore
internal import CRocksDB
internal import Synchronization

/// Names in the system space that the store itself uses.
struct SystemName {
    let key: [UInt8]

    private init(_ name: String) {
        key = Space.system.key(Array("store.\(name)".utf8))
    }

    static let format = SystemName("format")
    static let watermark = SystemName("watermark")
    /// Present from the first row on that may be dropped one day.
    static let mayDrop = SystemName("may-drop")
    /// The number of the last flush; what of it is on disk tells whether that flush got there.
    static let flushMark = SystemName("flush-mark")
    /// An estimate.
    static let historyRows = SystemName("history-rows")
}

extension RocksDBStore {
    /// A value that the node keeps beside the data, such as its identity.
    package func systemValue(_ name: String) throws(StoreError) -> [UInt8]? {
        try systemValue(Self.systemKey(name))
    }

    /// Sets such a value. A failed flush leaves it set, but not durable.
    /// - Parameter flush: whether it is durable when the call returns; it costs a flush of everything.
    package func setSystemValue(_ name: String, _ value: [UInt8], flush: Bool = false) throws(StoreError) {
        // Not while an installation is under way: no row may come into the memtable between its flush and its files.
        try maintaining.withLock { (_) throws(StoreError) in
            try database.put(Self.systemKey(name), value)
            if flush { try flushAlone() }
        }
    }

    private static func systemKey(_ name: String) -> [UInt8] {
        Space.system.key(Array("node.\(name)".utf8))
    }

    func systemValue(_ name: SystemName) throws(StoreError) -> [UInt8]? {
        try systemValue(name.key)
    }

    private func systemValue(_ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        try database.get(key, options: reads.point(.disk)) { (value) throws(StoreError) in Array(value) }
    }

    /// A number that the store keeps, as it is now or as `options` see it.
    func number(_ name: SystemName, options: OpaquePointer? = nil) throws(StoreError) -> UInt64? {
        try database.get(name.key, options: options ?? reads.point(.disk)) { (value) throws(StoreError) in
            guard value.count == 8 else { throw .corrupt("a number of the store has \(value.count) bytes") }
            return value.littleEndian(at: 0)
        }
    }

    func set(_ number: UInt64, _ name: SystemName, tier: ReadTier = .disk) throws(StoreError) {
        try database.put(name.key, withUnsafeBytes(of: number.littleEndian) { Array($0) }, tier: tier)
    }
}
