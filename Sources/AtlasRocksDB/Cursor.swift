internal import AtlasCore
internal import CRocksDB

/// A position among the rows. Used by one thread at a time.
final class Cursor {
    private let iterator: OpaquePointer
    /// Of a scan, which has options of its own because its bounds are in them.
    private let bounds: ScanBounds?

    /// A cursor that uses options which outlive it.
    init(_ database: Database, borrowing options: OpaquePointer) {
        bounds = nil
        iterator = rocksdb_create_iterator(database.handle, options)
    }

    /// A cursor over the rows `[lower, upper)`.
    init(_ database: Database, _ bounds: ScanBounds) {
        self.bounds = bounds
        iterator = rocksdb_create_iterator(database.handle, bounds.options)
    }

    deinit {
        rocksdb_iter_destroy(iterator)
    }

    var isValid: Bool {
        rocksdb_iter_valid(iterator) != 0
    }

    /// Lent until the cursor moves.
    var key: UnsafeRawBufferPointer {
        var count = 0
        let start = rocksdb_iter_key(iterator, &count)
        return UnsafeRawBufferPointer(start: start, count: count)
    }

    /// Lent until the cursor moves.
    var value: UnsafeRawBufferPointer {
        var count = 0
        let start = rocksdb_iter_value(iterator, &count)
        return UnsafeRawBufferPointer(start: start, count: count)
    }

    func seek(_ key: [UInt8]) {
        withCharacters(of: key) { rocksdb_iter_seek(iterator, $0, $1) }
    }

    /// To the last row that is not above `key`.
    func seekBack(_ key: [UInt8]) {
        withCharacters(of: key) { rocksdb_iter_seek_for_prev(iterator, $0, $1) }
    }

    func seekToFirst() {
        rocksdb_iter_seek_to_first(iterator)
    }

    func seekToLast() {
        rocksdb_iter_seek_to_last(iterator)
    }

    func next() {
        rocksdb_iter_next(iterator)
    }

    func previous() {
        rocksdb_iter_prev(iterator)
    }

    /// To be asked when the cursor is not valid: whether it came to the end or could not go on.
    func checkStatus() throws(StoreError) {
        try checked { rocksdb_iter_get_error(iterator, $0) }
    }
}

/// The read options of a scan, and the bounds in them, which RocksDB keeps pointers to.
final class ScanBounds {
    let options: OpaquePointer
    private let lower: UnsafeMutableBufferPointer<CChar>
    private let upper: UnsafeMutableBufferPointer<CChar>

    /// - Parameters:
    ///   - lower: inclusive.
    ///   - upper: exclusive.
    init(_ tier: ReadTier, snapshot: OpaquePointer?, lower: [UInt8], upper: [UInt8]) {
        options = makeReadOptions(tier, snapshot: snapshot)
        rocksdb_readoptions_set_total_order_seek(options, 1)
        self.lower = Self.copy(lower)
        self.upper = Self.copy(upper)
        rocksdb_readoptions_set_iterate_lower_bound(options, self.lower.baseAddress, lower.count)
        rocksdb_readoptions_set_iterate_upper_bound(options, self.upper.baseAddress, upper.count)
    }

    deinit {
        rocksdb_readoptions_destroy(options)
        lower.deallocate()
        upper.deallocate()
    }

    private static func copy(_ bytes: [UInt8]) -> UnsafeMutableBufferPointer<CChar> {
        let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: bytes.count)
        _ = copy.initialize(from: bytes.lazy.map { CChar(bitPattern: $0) })
        return copy
    }
}
