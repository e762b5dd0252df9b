import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

struct SimulatedNodeTests {
    /// A snapshot that is there after a crash has made durable what had been applied before (decision 019): otherwise the
    /// log would be the way to a tablet whose beginning the snapshot has overwritten.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func snapshotThatSurvivesACrashKeepsWhatWasApplied(seed: UInt64) throws {
        var random = Random(seed: seed)
        let clock = SimulatedClock(driftPermille: 0, offsetMax: 0, random: &random)
        let node = SimulatedNode(number: 0, region: 0, incarnation: 1, clock: clock)
        var applied = WriteSet()
        applied.tablets = [TabletState(tablet: TabletID(rawValue: 2), epoch: 1)]
        try node.store.commit(applied, tier: .memory)
        let config = TabletConfig(
            tablet: .first,
            epoch: 2,
            range: .all,
            voters: [Voter(node: node.id, incarnation: 1, region: node.region)],
            regionFailures: 0,
            localThresholdPermille: 0
        )
        let part = SnapshotPart(
            fetch: 7,
            after: nil,
            config: ConfigBody(config: config),
            state: TabletState(tablet: .first, epoch: 2),
            watermark: .zero,
            rows: [],
            isLast: true
        )
        node.staged[.first] = (7, [part])
        node.installing[.first] = 7
        _ = node.crash(random: &random)
        let held = node.store.tabletStates.map(\.tablet.rawValue)
        #expect(held == [1, 2] || held.isEmpty)
    }
}
