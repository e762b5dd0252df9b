internal import AtlasCore

/// The bodies of the entries written last, oldest out first. Locations only ever grow, so it is searched by bisection.
struct PayloadCache {
    private var items: [(location: RecordLocation, record: LogRecord)] = []
    /// The items before it are gone; the array is closed up when half of it is.
    private var start = 0
    private var bytes = 0
    private let bytesMax: Int

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    mutating func insert(_ record: LogRecord, at location: RecordLocation) {
        guard Int(location.size) <= bytesMax else { return }
        bytes += Int(location.size)
        items.append((location, record))
        while bytes > bytesMax {
            bytes -= Int(items[start].location.size)
            items[start].record.body = []
            start += 1
        }
        if start > 1024, start > items.count / 2 {
            items.removeFirst(start)
            start = 0
        }
    }

    subscript(location: RecordLocation) -> LogRecord? {
        var low = start
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].location < location { low = middle + 1 } else { high = middle }
        }
        guard low < items.count, items[low].location == location else { return nil }
        return items[low].record
    }
}
