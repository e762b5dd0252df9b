internal import AtlasCore
internal import AtlasWire
internal import AtlasRPC
internal import AtlasTypes
internal import AtlasConfiguration

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
            self.init(outcomeUnknown: [], members: members)
        case .versionInFuture(let now):
            self.init(.outOfRange, .versionInFuture, "the version is in the future; the newest is \(now.rawValue)") {
                $0.newestVersion = Int64(now.rawValue)
            }
        case .versionNotRetained(let oldest):
            self.init(versionNotRetained: oldest)
        case .unavailable(let missing):
            let silent = SilentNodes(missing, of: members)
            self.init(.unavailable, .noQuorum, "no quorum and no owner could be reached in time\(silent.clause)") {
                silent.name(in: &$0)
                $0.retryAfterMs = 100
            }
        case .invalid(let why) where refusal == .answerTooLarge:
            self.init(.resourceExhausted, .messageTooLarge, why)
        case .invalid(let why):
            self.init(.invalidArgument, .invalidArgument, why)
        case .busy(let why):
            self.init(.unavailable, .noOwner, "\(why); retry later") { $0.retryAfterMs = 100 }
        case .failed(let why):
            self.init(.internal, .internal, why)
        }
    }

    /// A write that may have taken effect, or may yet, is not followed any more.
    /// - Parameter missing: the nodes that are silent, which may be why.
    convenience init(outcomeUnknown missing: [NodeID], members: [ClusterMember]) {
        let silent = SilentNodes(missing, of: members)
        self.init(
            .unavailable,
            silent.names.isEmpty ? .noOwner : .noQuorum,
            "the write was not followed to its end; retry with the same request id to settle the outcome\(silent.clause)"
        ) {
            silent.name(in: &$0)
            $0.outcomeUnknown = true
        }
    }

    /// A write was still under way at its deadline.
    /// - Parameter missing: the nodes that are silent, which may be why.
    convenience init(writeExpired missing: [NodeID], members: [ClusterMember]) {
        let silent = SilentNodes(missing, of: members)
        let what =
            "the deadline passed while the write was under way; retry with the same request id to settle the outcome"
        self.init(.deadlineExceeded, .deadlineExceeded, what + silent.clause) {
            silent.name(in: &$0)
            $0.outcomeUnknown = true
        }
    }
}

/// The nodes that were not heard of for too long, in the words of an error.
private struct SilentNodes {
    let names: [String]
    private let regions: [Int32]

    init(_ missing: [NodeID], of members: [ClusterMember]) {
        let silent = members.filter { missing.contains($0.id) }
        let strangers = missing.filter { id in !members.contains { $0.id == id } }
        names = silent.map(\.name) + strangers.map { "\($0.rawValue)" }
        regions = Set(silent.map(\.region.rawValue)).sorted()
    }

    /// What a message ends with.
    var clause: String {
        names.isEmpty ? "" : "; silent: \(names.joined(separator: ", "))"
    }

    func name(in detail: inout Atlas_ErrorDetail) {
        detail.missingNodes = names
        detail.missingRegions = regions
    }
}
