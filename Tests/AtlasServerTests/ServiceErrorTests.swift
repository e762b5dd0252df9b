import AtlasCore
import AtlasWire
import AtlasRPC
import Testing

@testable import AtlasServices
@testable import AtlasServer
import AtlasTypes
import AtlasConfiguration
import AtlasNode

@Suite struct ServiceErrorTests {
    static let faults: [(RPCFault, Atlas_ErrorCode)] = [
        (.noSuchMethod(path: "/x"), .unimplemented),
        (.malformedTimeout("x"), .internal),
        (.deadlinePassed, .deadlineExceeded),
        (.requestTimeout, .deadlineExceeded),
        (.messageTooLarge(bytes: 5, max: 4), .messageTooLarge),
        (.compressedMessage, .unimplemented),
        (.malformedPrefix(9), .internal),
        (.truncatedMessage, .internal),
        (.noMessage, .unimplemented),
        (.secondMessage, .unimplemented),
        (.tooManyUnfinishedBytes, .overloaded),
        (.answerTooLarge(bytes: 5, max: 4), .messageTooLarge),
        (.tooManyAnswersWaiting, .overloaded),
    ]

    /// The server's configuration gives each fault of the RPC layer its detail, and leaves its status code.
    @Test(arguments: faults, [false, true])
    func faultsHaveADetail(_ fault: (RPCFault, Atlas_ErrorCode), isHandled: Bool) throws {
        let (fault, code) = fault
        let status = RPCServerConfiguration(AtlasConfiguration()).describe(fault, isHandled)
        let detail = try #require(Atlas_ErrorDetail(statusDetails: status.details ?? []))
        #expect(status.code == fault.status.code)
        #expect(status.message.hasPrefix(fault.status.message))
        #expect(detail.code == code)
        #expect(detail.message == status.message)
        #expect(detail.outcomeUnknown == isHandled)
        #expect((detail.retryAfterMs > 0) == (code == .overloaded))
        #expect(detail.limitName.isEmpty == (code != .messageTooLarge))
    }

    /// No data is lost with it.
    @Test func aNodeThatWasRemovedSendsClientsElsewhere() {
        let error = ServiceError(NodeUnavailable.removed("it has been removed"))
        #expect(error.rpcStatus.code == .unavailable)
        #expect(error.rpcStatus.message.contains("ask another node"))
    }

    @Test func faultsNameTheLimit() {
        let request = ServiceError(.messageTooLarge(bytes: 5, max: 4), isHandled: false).detail
        #expect(request.limitName == "transport.max_recv_msg_size")
        #expect((request.limitActual, request.limitAllowed) == (5, 4))
        let answer = ServiceError(.answerTooLarge(bytes: 7, max: 6), isHandled: true).detail
        #expect(answer.limitName == "transport.max_send_msg_size")
        #expect((answer.limitActual, answer.limitAllowed) == (7, 6))
    }

    static let members = [("a", 1), ("b", 2), ("c", 2)].map { name, region in
        ClusterMember(
            name: name,
            address: HostPort(host: "\(name).example", port: 1),
            region: RegionID(rawValue: region)
        )
    }

    static let refusals: [(Refusal, RPCCode, Atlas_ErrorCode)] = [
        (.noSuchTablet, .unavailable, .noOwner),
        (.crossesTablets, .invalidArgument, .invalidArgument),
        (.notOwner(presumed: nil), .unavailable, .noOwner),
        (.overloaded("x"), .resourceExhausted, .overloaded),
        (.deadlineExceeded, .deadlineExceeded, .deadlineExceeded),
        (.outcomeUnknown, .unavailable, .noOwner),
        (.versionInFuture(now: Timestamp(rawValue: 5)), .outOfRange, .versionInFuture),
        (.versionNotRetained(oldest: Timestamp(rawValue: 5)), .outOfRange, .versionNotRetained),
        (.unavailable(missing: []), .unavailable, .noQuorum),
        (.invalid("x"), .invalidArgument, .invalidArgument),
        (.busy("x"), .unavailable, .noOwner),
        (.failed("x"), .internal, .internal),
    ]

    @Test(arguments: refusals)
    func refusalsHaveAStatus(_ refusal: Refusal, _ status: RPCCode, _ code: Atlas_ErrorCode) {
        let error = ServiceError(refusal, members: Self.members)
        #expect(error.status == status)
        #expect(error.detail.code == code)
        #expect(error.detail.message.isEmpty == false)
        #expect(error.detail.outcomeUnknown == (refusal == .outcomeUnknown))
    }

    @Test func refusalsNameWhatTheyAreAbout() {
        let (a, c) = (Self.members[0].id, Self.members[2].id)
        let stranger = NodeID(rawValue: 77)
        let missing = ServiceError(.unavailable(missing: [c, stranger, a]), members: Self.members).detail
        let unknown = ServiceError(outcomeUnknown: [c, stranger, a], members: Self.members).detail
        let expired = ServiceError(writeExpired: [c, stranger, a], members: Self.members).detail
        for detail in [missing, unknown, expired] {
            #expect(detail.missingNodes == ["a", "c", "77"])
            #expect(detail.missingRegions == [1, 2])
            #expect(detail.message.hasSuffix("silent: a, c, 77"))
        }
        #expect((unknown.code, expired.code) == (.noQuorum, .deadlineExceeded))
        #expect(unknown.outcomeUnknown && expired.outcomeUnknown)
        let owner = ServiceError(.notOwner(presumed: c), members: Self.members).detail
        #expect((owner.ownerNode, owner.ownerAddress) == ("c", "c.example:1"))
        let old = ServiceError(.versionNotRetained(oldest: Timestamp(rawValue: 5)), members: Self.members).detail
        #expect(old.oldestVersion == 5)
    }

    /// What one request or answer may have is allowed where nothing else waits.
    @Test func theLargestMessagesHaveRoom() {
        var config = AtlasConfiguration()
        config.node.transport.maxSendMsgSize = 65 << 20
        config.node.transport.maxRecvMsgSize = 300 << 20
        let limits = RPCServerConfiguration(config).limits
        #expect(limits.outboundBytesMax > limits.sendMessageBytesMax)
        #expect(limits.outboundBytesTotalMax > limits.sendMessageBytesMax)
        #expect(limits.inboundBytesMax > limits.receiveMessageBytesMax)
        #expect(limits.inboundBytesTotalMax > limits.receiveMessageBytesMax)
    }
}
