import Testing

@testable import AtlasNode
import AtlasTypes

/// What a node counts of what goes to others and comes from them.
@Suite struct PeerTrafficTests {
    @Test func whatPassesIsCountedForEachNode() {
        let traffic = PeerTraffic()
        let (one, other) = (NodeID(rawValue: 1), NodeID(rawValue: 2))
        traffic[one].noteSent(.consensus, messages: 3, bytes: 100)
        traffic[one].noteSent(.bulk, messages: 1, bytes: 1_000)
        traffic[one].noteReceived(messages: 2, bytes: 50)
        traffic[one].noteQueue(.consensus, bytes: 70)
        traffic[one].noteQueue(.bulk, bytes: 7)
        traffic[one].noteQueue(.consensus, bytes: 60)
        traffic[one].noteDropped(messages: 5)
        traffic[other].noteConnection()
        #expect(traffic[one].sentMessages == 4 && traffic[one].sentBytes == 1_100)
        #expect(traffic[one].sentBulkBytes == 1_000)
        #expect(traffic[one].receivedMessages == 2 && traffic[one].receivedBytes == 50)
        #expect(traffic[one].queuedBytes == 67 && traffic[one].droppedMessages == 5)
        #expect(traffic[other].sentBytes == 0 && traffic[other].connections == 1)
    }
}
