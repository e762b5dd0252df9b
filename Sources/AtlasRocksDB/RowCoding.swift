internal import AtlasCore
internal import AtlasTypes

/// A record as it lies in a row, without a copy of its value. Valid as long as the row's memory is.
///
/// Layout, integers little-endian: flags (1 byte), version (8), expiry (8, if flagged), request id (16, if flagged),
/// value. A row of history has the superseding version (8) in front.
struct RecordView {
    let flags: RecordFlags
    let version: Timestamp
    let expiry: UInt64
    let requestID: RequestID
    let value: UnsafeRawBufferPointer

    init?(_ row: UnsafeRawBufferPointer) {
        guard row.count >= 9 else { return nil }
        flags = RecordFlags(rawValue: row[0])
        guard flags.isSubset(of: .all), row.count >= flags.headerBytes else { return nil }
        version = Timestamp(rawValue: row.littleEndian(at: 1))
        guard version <= .max else { return nil }
        var offset = 9
        if flags.contains(.expiry) {
            expiry = row.littleEndian(at: offset)
            offset += 8
        } else {
            expiry = 0
        }
        if flags.contains(.requestID) {
            requestID = RequestID(high: row.littleEndian(at: offset), low: row.littleEndian(at: offset + 8))
            offset += 16
        } else {
            requestID = .none
        }
        value = UnsafeRawBufferPointer(rebasing: row[offset...])
    }

    func isExpired(at milliseconds: UInt64) -> Bool {
        expiry != 0 && expiry <= milliseconds
    }

    func record() -> Record {
        Record(version: version, expiry: expiry, requestID: requestID, value: Array(value))
    }
}

/// A row of history, without a copy of its value.
struct HistoryView {
    let supersededBy: Timestamp
    let record: RecordView

    init?(_ row: UnsafeRawBufferPointer) {
        guard row.count >= 8, let record = RecordView(UnsafeRawBufferPointer(rebasing: row[8...])) else { return nil }
        supersededBy = Timestamp(rawValue: row.littleEndian(at: 0))
        guard supersededBy <= .max else { return nil }
        self.record = record
    }

    var isDelete: Bool {
        record.flags.contains(.delete)
    }

    func wasNewest(at version: Timestamp) -> Bool {
        !isDelete && supersededBy > version
    }

    func row() -> HistoryRow {
        HistoryRow(record: record.record(), supersededBy: supersededBy, isDelete: isDelete)
    }
}

struct RecordFlags: OptionSet {
    let rawValue: UInt8

    static let expiry = RecordFlags(rawValue: 1)
    static let requestID = RecordFlags(rawValue: 2)
    /// A delete's marker in the history.
    static let delete = RecordFlags(rawValue: 4)
    static let all: RecordFlags = [.expiry, .requestID, .delete]

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    init(_ record: Record, isDelete: Bool = false) {
        var flags: RecordFlags = isDelete ? .delete : []
        if record.expiry != 0 { flags.insert(.expiry) }
        if !record.requestID.isNone { flags.insert(.requestID) }
        self = flags
    }

    var headerBytes: Int {
        9 + (contains(.expiry) ? 8 : 0) + (contains(.requestID) ? 16 : 0)
    }
}

extension TabletState {
    static let rowBytes = 48

    init?(_ row: UnsafeRawBufferPointer) {
        guard row.count == Self.rowBytes else { return nil }
        self.init(tablet: TabletID(rawValue: row.littleEndian(at: 0)), epoch: row.littleEndian(at: 8))
        appliedSlot = Slot(rawValue: row.littleEndian(at: 16))
        appliedTimestamp = Timestamp(rawValue: row.littleEndian(at: 24))
        closedTimestamp = Timestamp(rawValue: row.littleEndian(at: 32))
        stateHash = row.littleEndian(at: 40)
        guard appliedSlot.rawValue < .max / 2, max(appliedTimestamp, closedTimestamp) <= .max else { return nil }
    }

    /// The row's key: the tablet's id, most significant byte first.
    static func key(of tablet: TabletID) -> [UInt8] {
        Space.tablets.key(withUnsafeBytes(of: tablet.rawValue.bigEndian) { Array($0) })
    }
}

extension ConfigBody {
    /// The row's key: a name, then the tablet's id, most significant byte first. The row is the encoded body.
    static func key(of tablet: TabletID) -> [UInt8] {
        let id = withUnsafeBytes(of: tablet.rawValue.bigEndian) { Array($0) }
        return Space.system.key(Array("tablet-config/".utf8) + id)
    }
}

extension UnsafeRawBufferPointer {
    /// The bounds were checked by the caller, and are again here.
    func littleEndian(at offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

/// Memory in which rows are put together before RocksDB copies them into its batch. It keeps what common rows need.
struct RowBuffer: ~Copyable {
    private static let keptBytesMax = 64 << 10
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 10, alignment: 16)
    private var count = 0

    deinit {
        memory.deallocate()
    }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[..<count])
    }

    mutating func encode(_ record: Record) {
        begin(RecordFlags(record).headerBytes + record.value.count)
        append(record, RecordFlags(record))
    }

    mutating func encode(_ row: HistoryRow) {
        let flags = RecordFlags(row.record, isDelete: row.isDelete)
        begin(8 + flags.headerBytes + row.record.value.count)
        append(row.supersededBy.rawValue)
        append(row.record, flags)
    }

    mutating func encode(_ tablet: TabletState) {
        begin(TabletState.rowBytes)
        append(tablet.tablet.rawValue)
        append(tablet.epoch)
        append(tablet.appliedSlot.rawValue)
        append(tablet.appliedTimestamp.rawValue)
        append(tablet.closedTimestamp.rawValue)
        append(tablet.stateHash)
    }

    /// A row that has been put together already.
    mutating func set(_ row: [UInt8]) {
        begin(row.count)
        memory.copyBytes(from: row)
        count = row.count
    }

    /// Gives back what an uncommonly large row took.
    mutating func shrink() {
        guard memory.count > Self.keptBytesMax else { return }
        memory.deallocate()
        memory = .allocate(byteCount: Self.keptBytesMax, alignment: 16)
        count = 0
    }

    private mutating func begin(_ capacity: Int) {
        count = 0
        guard memory.count < capacity else { return }
        memory.deallocate()
        memory = .allocate(byteCount: max(capacity, memory.count * 2), alignment: 16)
    }

    private mutating func append(_ record: Record, _ flags: RecordFlags) {
        memory.storeBytes(of: flags.rawValue, toByteOffset: count, as: UInt8.self)
        count += 1
        append(record.version.rawValue)
        if flags.contains(.expiry) { append(record.expiry) }
        if flags.contains(.requestID) {
            append(record.requestID.high)
            append(record.requestID.low)
        }
        record.value.withUnsafeBytes { value in
            guard let source = value.baseAddress else { return }
            memory.baseAddress!.advanced(by: count).copyMemory(from: source, byteCount: value.count)
            count += value.count
        }
    }

    private mutating func append(_ integer: UInt64) {
        memory.storeBytes(of: integer.littleEndian, toByteOffset: count, as: UInt64.self)
        count += 8
    }
}
