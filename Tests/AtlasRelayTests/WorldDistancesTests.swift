import AtlasRelay
import NIOCore
import Testing

struct WorldDistancesTests {
    @Test func everyPairIsKnownAndTheSameBothWays() {
        for one in WorldDistances.regions {
            for other in WorldDistances.regions {
                let there = WorldDistances.roundTripMilliseconds(one, other)
                #expect(there == WorldDistances.roundTripMilliseconds(other, one))
                #expect((there == 0) == (one == other))
                #expect(there != nil)
            }
        }
    }

    @Test func values() {
        #expect(WorldDistances.roundTripMilliseconds("us-east", "us-east-2") == 11)
        #expect(WorldDistances.roundTripMilliseconds("eu-west", "ap-northeast") == 212)
        #expect(WorldDistances.roundTripMilliseconds("us-east", "atlantis") == nil)
        #expect(WorldDistances.condition("us-east", "us-east-2") == LinkCondition(delay: .microseconds(5_500)))
        #expect(WorldDistances.condition("atlantis", "us-east") == nil)
    }
}
