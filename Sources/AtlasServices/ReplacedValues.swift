internal import AtlasCore
internal import AtlasWire
internal import AtlasRPC
internal import AtlasRocksDB
internal import AtlasConfiguration

/// A small batch may replace large values, all of which go into the history with it. Before it is proposed, the node that is asked
/// looks at what it would replace. See decision 041.
extension Command {
    /// Whether the command writes so often that it has to be looked at.
    func mayReplaceTooMuch(_ limits: RequestLimits) -> Bool {
        writeCount > limits.operationsTogetherMax
    }

    /// - Returns: why the command is refused; `nil` if what it replaces is small enough.
    func refusal(replacingIn store: RocksDBStore, tier: ReadTier) throws(StoreError) -> ServiceError? {
        let allowed = RequestLimits.replacedBytesMax
        var bytes = 0
        for key in Set(operations.lazy.filter(\.isWrite).map(\.key)) {
            bytes += try store.record(of: key, tier: tier)?.value.count ?? 0
            guard bytes <= allowed else {
                return ServiceError(
                    .resourceExhausted,
                    .batchTooLarge,
                    "the batch replaces more than \(allowed >> 20) MiB of values; nothing was changed; split it"
                )
            }
        }
        return nil
    }
}
