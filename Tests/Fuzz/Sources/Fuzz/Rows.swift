import AtlasCore

@testable import AtlasRocksDB
import AtlasTypes

extension Target {
    /// Keys and values of the store; the first byte says which.
    static let rows = Target("rows") {
        var random = Random(seed: 4)
        return (0..<40).flatMap { _ in
            let record = Record(
                version: Timestamp(rawValue: random.number() >> 1),
                expiry: random.chance(50) ? 0 : random.number(),
                requestID: random.chance(50) ? .none : RequestID(high: random.next(), low: random.next()),
                value: random.bytes(upTo: 20)
            )
            let row = HistoryRow(record: record, supersededBy: record.version, isDelete: random.chance(30))
            let key = Key(random.bytes(upTo: 12).map { $0 & 3 })
            return [
                [0] + HistoryKey.encode(key, version: record.version), [1] + written { $0.encode(record) },
                [2] + written { $0.encode(row) },
                [3] + written { $0.encode(TabletState(tablet: .first, epoch: 1)) },
            ]
        }
    } run: { input in
        guard let kind = input.first else { return }
        let bytes = Array(input.dropFirst())
        bytes.withUnsafeBytes { row in
            switch kind {
            case 0: checkKey(row)
            case 1:
                guard let record = RecordView(row)?.record() else { return }
                require(record.version <= .max, "a version in range")
                let again = written { $0.encode(record) }
                require(again.withUnsafeBytes { RecordView($0)?.record() } == record, "\(record)")
            case 2:
                guard let history = HistoryView(row)?.row() else { return }
                require(max(history.record.version, history.supersededBy) <= .max, "versions in range")
                let again = written { $0.encode(history) }
                require(again.withUnsafeBytes { HistoryView($0)?.row() } == history, "\(history)")
            default:
                guard let state = TabletState(row) else { return }
                require(state.appliedTimestamp <= .max && state.closedTimestamp <= .max, "stamps in range")
                require(state.appliedSlot.next > state.appliedSlot, "a slot that others follow")
                let again = written { $0.encode(state) }
                require(again.withUnsafeBytes { TabletState($0) } == state, "\(state)")
            }
        }
    }

    private static func checkKey(_ row: UnsafeRawBufferPointer) {
        let prefixCount = HistoryKey.prefixCount(row)
        require((prefixCount ?? 3) >= 3 && (prefixCount ?? 0) <= row.count, "a prefix is a part of its row")
        guard let (key, version) = HistoryKey.decode(row) else { return }
        require(row.elementsEqual(HistoryKey.encode(key, version: version)), "a row's key has one form")
    }

    private static func written(_ write: (inout RowBuffer) -> Void) -> [UInt8] {
        var buffer = RowBuffer()
        write(&buffer)
        return Array(buffer.bytes)
    }
}
