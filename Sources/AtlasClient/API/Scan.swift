/// Which keys a scan reads.
public struct ScanRange: Hashable, Sendable {
    /// Inclusive; empty: from the first key.
    public var start: Bytes
    /// Exclusive; `nil`: to the last key.
    public var end: Bytes?
    /// Only keys that begin with this; empty: all.
    public var prefix: Bytes

    /// Every key.
    public static let all = ScanRange(prefix: Bytes())

    /// The keys that begin with `prefix`.
    public init(prefix: some BytesConvertible) {
        start = Bytes()
        self.prefix = prefix.asBytes
    }

    /// The keys from `start` up to `end` (exclusive; `nil`: to the last).
    public init(from start: some BytesConvertible, to end: (any BytesConvertible)? = nil) {
        self.start = start.asBytes
        self.end = end?.asBytes
        prefix = Bytes()
    }
}

/// The entries of a range in key order (or the reverse), all from one snapshot. Each iteration is a scan of its own.
///
/// Entries arrive in pages, a few of them ahead of the consumer: memory is bounded however large the range is. A scan
/// that loses its node goes on where it was, at the same snapshot, as long as that is retained.
public struct Scan: AsyncSequence, Sendable {
    /// Some consecutive entries of a scan.
    public struct Page: Hashable, Sendable {
        /// In key order (or the reverse); never empty, except in the one page of an empty range.
        public var entries: [Entry]
        /// The version whose state the scan shows. To go on later behind the last key `k` of a page, scan with it as
        /// `atVersion`, from `k` followed by a zero byte (in reverse: up to `k`).
        public var snapshotVersion: Version
        /// Where and how the answer came about: in the first page, if it was asked for.
        public var receipt: Receipt?

        package init(entries: [Entry], snapshotVersion: Version, receipt: Receipt?) {
            self.entries = entries
            self.snapshotVersion = snapshotVersion
            self.receipt = receipt
        }
    }

    /// Where the pages of one iteration come from.
    package protocol Source: AnyObject, Sendable {
        /// `nil` behind the last page, and after an error.
        func nextPage() async throws(AtlasError) -> Page?
        /// Nobody wants the rest.
        func cancel()
    }

    private let makeSource: @Sendable () -> any Source

    package init(_ makeSource: @escaping @Sendable () -> any Source) {
        self.makeSource = makeSource
    }

    /// An iteration from the start.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(pages: pages.makeAsyncIterator())
    }

    /// The scan page by page: the cheapest way to read much.
    public var pages: Pages {
        Pages(makeSource: makeSource)
    }

    /// One iteration. When it is dropped, the scan ends.
    public struct AsyncIterator: AsyncIteratorProtocol {
        var pages: Pages.AsyncIterator
        private var page: [Entry] = []
        private var position = 0

        init(pages: Pages.AsyncIterator) {
            self.pages = pages
        }

        /// The next entry; `nil` behind the last.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(AtlasError) -> Entry? {
            while position == page.count {
                guard let next = try await pages.next(isolation: actor) else { return nil }
                page = next.entries
                position = 0
            }
            defer { position += 1 }
            return page[position]
        }
    }

    /// The pages of a scan.
    public struct Pages: AsyncSequence, Sendable {
        let makeSource: @Sendable () -> any Source

        /// An iteration from the start.
        public func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(running: Running(makeSource()))
        }

        /// One iteration. When it is dropped, the scan ends.
        public struct AsyncIterator: AsyncIteratorProtocol {
            let running: Running

            /// The next page; `nil` behind the last.
            public mutating func next(isolation actor: isolated (any Actor)?) async throws(AtlasError) -> Page? {
                try await running.source.nextPage()
            }
        }
    }

    /// Ends a scan when its iterator goes.
    final class Running: Sendable {
        let source: any Source

        init(_ source: any Source) {
            self.source = source
        }

        deinit {
            source.cancel()
        }
    }
}
