import AtlasCore
import Testing

@testable import AtlasNode
import AtlasTypes

@Suite struct LatencyMonitorTests {
    @Test func whatHasChangedIsToldOnce() {
        var monitor = LatencyMonitor()
        let (near, far) = (RegionID(rawValue: 2), RegionID(rawValue: 3))
        func look(_ measured: KeyValuePairs<RegionID, UInt64>) -> [LatencyMonitor.Change] {
            monitor.changes(measured.map { RegionDistance(region: $0, microseconds: $1) })
        }
        func change(_ region: RegionID, _ before: UInt64?, _ now: UInt64?) -> LatencyMonitor.Change {
            LatencyMonitor.Change(region: region, before: before, now: now)
        }
        #expect(look([:]) == [])
        #expect(look([far: 160_000, near: 80_000]) == [change(near, nil, 80_000), change(far, nil, 160_000)])
        #expect(look([near: 80_000, far: 160_000]) == [])
        // A quarter is enough, and less is not; but many small steps are told as well.
        #expect(look([near: 99_000, far: 121_000]) == [])
        #expect(look([near: 100_001, far: 119_999]) == [change(near, 80_000, 100_001), change(far, 160_000, 119_999)])
        #expect(look([near: 110_000, far: 119_999]) == [])
        #expect(look([near: 126_000, far: 119_999]) == [change(near, 100_001, 126_000)])
        #expect(look([far: 119_999]) == [change(near, 126_000, nil)])
        #expect(look([far: 119_999]) == [])
        #expect(look([near: 75_000, far: 119_999]) == [change(near, nil, 75_000)])
    }
}
