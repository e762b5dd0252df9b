internal import AtlasCore
internal import AtlasProtobuf
internal import AtlasRPC

// Why the core did not serve a request, in the words of the API.

extension ServiceError {
    /// - Parameter members: the nodes of the cluster, which have names and addresses for people.
    convenience init(_ refusal: Refusal, members: [ClusterMember]) {
        switch refusal {
        case .noSuchTablet:
            self.init(.unavailable, .noOwner, "no tablet of this node holds the key")
        case .crossesTablets:
            self.init(
                .invalidArgument,
                .invalidArgument,
                "the keys lie in more than one tablet, and what takes effect as one has to be in one tablet"
            )
        case .notOwner(let presumed):
            let owner = members.first { $0.id == presumed }
            self.init(.unavailable, .noOwner, "the tablet has no owner at the moment") {
                $0.retryAfterMs = 50
                $0.ownerNode = owner?.name ?? ""
                $0.ownerAddress = owner?.address.description ?? ""
            }
        case .overloaded(let what):
            self.init(.resourceExhausted, .overloaded, "\(what); retry later") { $0.retryAfterMs = 50 }
        case .deadlineExceeded:
            self.init(.deadlineExceeded, .deadlineExceeded, "the deadline passed before the call was served")
        case .outcomeUnknown:
            self.init(
                .unavailable,
                .noOwner,
                "ownership was lost; retry with the same request id to settle the outcome"
            ) { $0.outcomeUnknown = true }
        case .versionInFuture(let now):
            self.init(.outOfRange, .versionInFuture, "the version is in the future; the newest is \(now.rawValue)") {
                $0.newestVersion = Int64(now.rawValue)
            }
        case .versionNotRetained(let oldest):
            self.init(versionNotRetained: oldest)
        case .unavailable(let missing):
            self.init(missing: missing, members: members)
        case .invalid(let why):
            self.init(.invalidArgument, .invalidArgument, why)
        case .busy(let why):
            self.init(.unavailable, .noOwner, "\(why); retry later") { $0.retryAfterMs = 100 }
        case .failed(let why):
            self.init(.internal, .internal, why)
        }
    }

    private convenience init(missing: [NodeID], members: [ClusterMember]) {
        let silent = members.filter { missing.contains($0.id) }
        let strangers = missing.filter { id in !members.contains { $0.id == id } }
        let names = silent.map(\.name) + strangers.map { "\($0.rawValue)" }
        let who = names.isEmpty ? "" : "; silent: \(names.joined(separator: ", "))"
        self.init(.unavailable, .noQuorum, "no quorum and no owner could be reached in time\(who)") {
            $0.missingNodes = names
            $0.missingRegions = Set(silent.map(\.region.rawValue)).sorted()
            $0.retryAfterMs = 100
        }
    }
}
