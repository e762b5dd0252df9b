internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import AtlasTypes

/// Why a node cannot start, or has stopped. The message says what, where and what to do.
package struct NodeError: Error, Hashable, Sendable, CustomStringConvertible {
    package var kind: Kind
    package var description: String

    /// What a program can tell apart.
    package enum Kind: Hashable, Sendable {
        /// Another node, in this process or another, has the data directory.
        case directoryInUse
        /// The data directory, or something in it, cannot be made, opened, read or written.
        case directoryUnusable
        /// The node has been removed from its cluster.
        case removed
        /// The data directory is another node's.
        case otherNode
        /// The log or the store, or a part of the log, is gone.
        case missingPart
        /// Log and store are not from the same node, or not from the same life of it.
        case mixedParts
        case damaged
        /// A newer version of the program has written the data.
        case newerFormat
        case diskFull
        case cannotListen
        /// Anything else.
        case failed
    }

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// What opening and recovering a data directory ran into.
    init(_ error: any Error) {
        switch error {
        case let error as NodeError: self = error
        case let error as LogError: self.init(Kind(error), "\(error)")
        case let error as RocksDBStore.OpenError: self.init(Kind(error), "\(error)")
        case let error as StoreError: self.init(Kind(error), "\(error)")
        case is CodecError: self.init(.damaged, "\(error)")
        default: self.init(.failed, "\(error)")
        }
    }
}

extension NodeError.Kind {
    fileprivate init(_ error: LogError) {
        switch error {
        case .io: self = error.isOutOfSpace ? .diskFull : .directoryUnusable
        case .corrupt: self = .damaged
        case .unsupportedFormat(_, let found, let supported): self = found > supported ? .newerFormat : .failed
        case .unknownRecord: self = .newerFormat
        case .closedWithoutSpace: self = .diskFull
        case .invalidOptions: self = .failed
        }
    }

    fileprivate init(_ error: RocksDBStore.OpenError) {
        switch error {
        case .locked: self = .directoryInUse
        case .newerFormat: self = .newerFormat
        case .store(let error): self.init(error)
        case .invalidOptions: self = .failed
        }
    }

    fileprivate init(_ error: StoreError) {
        switch error {
        case .corrupt: self = .damaged
        case .diskFull: self = .diskFull
        case .notInMemory, .writeStalled, .versionNotRetained, .failed: self = .failed
        }
    }
}
