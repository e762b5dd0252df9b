import AtlasRPC
import Logging
import Testing

@testable import AtlasServer
import AtlasConfiguration

/// How connections, the store and the log share the files that a process may open.
@Suite struct DescriptorBudgetTests {
    @Test(arguments: [(256, 2), (1024, 8), (4096, 1)])
    func storeAndLogHaveTheirsFirst(limit: Int, loops: Int) {
        let connections = DescriptorBudget(eventLoops: loops, limit: limit).connections
        #expect(connections >= limit / 8)
        #expect(connections <= limit / 2 - 64)
    }

    @Test func linksToOtherNodesHaveTheirsToo() {
        let alone = DescriptorBudget(eventLoops: 2, limit: 1024).connections
        let many = DescriptorBudget(eventLoops: 2, nodes: 9, limit: 1024).connections
        #expect(alone - many == 8 * 4)
    }

    @Test func aLimitTooSmallForAllLeavesOneConnection() {
        #expect(DescriptorBudget(eventLoops: 64, limit: 64).connections == 1)
        #expect(DescriptorBudget(eventLoops: 1, limit: .max).connections > 1_000_000)
    }

    @Test func connectionsAreLoweredToWhatFits() {
        let configured = RPCServerConfiguration(AtlasConfiguration())
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let budget = DescriptorBudget(eventLoops: 2, limit: 256)
        let fitted = configured.fitted(to: budget, logger)
        #expect(fitted.connectionsMax + fitted.connectionsReservedMax == budget.connections)
        #expect(fitted.connectionsReservedMax > 0)
        #expect(fitted.connectionsPerAddressMax == fitted.connectionsMax / 2)
        let ample = configured.fitted(to: DescriptorBudget(eventLoops: 2, limit: 1 << 20), logger)
        #expect(ample.connectionsMax == configured.connectionsMax)
        #expect(ample.connectionsReservedMax == RPCServerConfiguration.nodeConnectionsMax)
    }

    @Test func oneAddressMayHaveHalfOfTheConnectionsUnlessItIsSaid() {
        var config = AtlasConfiguration()
        config.node.transport.maxConnections = 1000
        #expect(RPCServerConfiguration(config).connectionsPerAddressMax == 500)
        config.node.transport.maxConnectionsPerAddress = 700
        #expect(RPCServerConfiguration(config).connectionsPerAddressMax == 700)
    }
}
