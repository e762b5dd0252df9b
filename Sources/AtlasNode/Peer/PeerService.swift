internal import AtlasCore
package import AtlasRPC
internal import Logging
internal import NIOCore
internal import Synchronization
internal import AtlasTypes

/// The gRPC methods of `atlas.Peer`, for other nodes.
///
///     Link  stream in: a hello, then frames; out: a hello. The node that opens it sends, the other listens.
///     Form  unary: who are you, and what cluster do you belong to?
package struct PeerService: Sendable {
    private let node: Node

    package init(node: Node) {
        self.node = node
    }

    /// What the paths of the methods begin with.
    package static let paths = "/atlas.Peer/"

    package var methods: [RPCMethod] {
        [
            .streaming("/atlas.Peer/Link") { call in PeerInbound(call, node: node) },
            .unary("/atlas.Peer/Form") { call, message in form(call, message) },
        ]
    }

    private func form(_ call: RPCServerCall, _ message: ByteBuffer) {
        guard let formation = node.formation else {
            return call.fail(RPCStatus(.failedPrecondition, "this node is alone in its cluster (cluster.nodes)"))
        }
        let request: FormationNote
        do throws(CodecError) {
            request = try FormationNote(decoding: Array(message.readableBytesView))
        } catch {
            return call.fail(RPCStatus(.invalidArgument, "the message cannot be decoded: \(error)"))
        }
        do throws(PeerRefusal) {
            call.respond(RPCMessage(bytes: try formation.answer(to: request).encoded()))
        } catch {
            return call.fail(RPCStatus(.failedPrecondition, error.reason))
        }
        node.learn(from: request)
    }
}

/// What another node sends on a link.
final class PeerInbound: RPCStreamHandler {
    private let call: RPCServerCall
    private let node: Node
    private var sender: (id: NodeID, hello: PeerHello, counters: PeerCounters)?
    private var reader = PeerFrameReader()
    private let number = PeerInbound.count.add(1, ordering: .relaxed).newValue

    private static let count = Atomic<Int>(0)
    /// What is under way on a link at most: with 212 ms from Tokyo to Ireland, 38 MB/s. Others than nodes get less.
    private static let windowBytes = 8 << 20

    init(_ call: RPCServerCall, node: Node) {
        self.call = call
        self.node = node
    }

    func received(_ message: ByteBuffer) {
        do throws(CodecError) {
            if let sender {
                let packets = try reader.read(message)
                sender.counters.noteReceived(messages: packets.count, bytes: message.readableBytes)
                try take(packets, from: sender.id, incarnation: sender.hello.incarnation)
            } else {
                greet(try PeerHello(decoding: Array(message.readableBytesView)))
            }
        } catch {
            let name = sender?.hello.nodeName ?? "an unknown node"
            node.logger.error("a message cannot be decoded", metadata: ["node": "\(name)", "error": "\(error)"])
            node.peers?.forgetInbound(number)
            call.finish(RPCStatus(.invalidArgument, "the message cannot be decoded: \(error)"))
        }
    }

    private func take(_ packets: [PeerPacket], from sender: NodeID, incarnation: UInt64) throws(CodecError) {
        var messages: [PeerMessage] = []
        messages.reserveCapacity(packets.count)
        for packet in packets {
            switch packet {
            case .message(let message):
                messages.append(message)
            case .passOn(let bytes, let others):
                messages.append(try PeerMessage(decoding: bytes))
                node.peers?.passOn(ByteBuffer(bytes: bytes), to: others, from: sender, incarnation: incarnation)
            case .passedOn(let message, let origin, let incarnation):
                guard let peers = node.peers, peers.members[origin] != nil,
                    peers.holder(of: origin).map({ $0.incarnation == incarnation }) ?? true
                else { continue }
                node.receive([message], from: origin, incarnation: incarnation)
            case .notPassedOn(let nodes):
                node.peers?.noteNotPassedOn(nodes)
            }
        }
        node.receive(messages, from: sender, incarnation: incarnation)
    }

    private func greet(_ hello: PeerHello) {
        guard let peers = node.peers else {
            return call.finish(RPCStatus(.failedPrecondition, "this node is alone in its cluster (cluster.nodes)"))
        }
        do throws(PeerRefusal) {
            let own = try peers.admit(hello)
            let id = NodeID(name: hello.nodeName)
            sender = (id, hello, peers.traffic[id])
            call.keepConnection()
            call.widenWindow(to: Self.windowBytes)
            call.send(RPCMessage(bytes: own.encoded()))
            peers.noteInbound(number, from: hello.process) { [call] in
                call.eventLoop.execute { call.finish(RPCStatus(.unavailable, "the link is not needed any more")) }
            }
            node.noteAddress(of: hello)
            peers.retryLinks(to: id)
        } catch {
            if error.isNameTaken { node.settleName(of: hello) }
            call.finish(RPCStatus(error.code, error.reason))
        }
    }

    func halfClosed() {
        node.peers?.forgetInbound(number)
        call.finish()
    }

    func cancelled(_ status: RPCStatus) {
        node.peers?.forgetInbound(number)
    }

    func writable() {}
}

extension PeerRefusal {
    /// Programs of earlier versions say FAILED_PRECONDITION where a name is taken.
    fileprivate var code: RPCCode {
        isNameTaken ? .alreadyExists : isTransient ? .unavailable : .failedPrecondition
    }
}
