import AtlasCore
import AtlasWire
import Testing

@testable import AtlasServices
import AtlasConfiguration

@Suite struct RequestTranslationTests {
    static let levels: [(Atlas_WriteLevel, WriteStrategy, WriteLevel)] = [
        (.unspecified, .local, .local), (.unspecified, .global, .global),
        (.local, .local, .local), (.local, .global, .local),
        (.global, .local, .global), (.global, .global, .global),
    ]

    private func translation(_ strategy: WriteStrategy) -> RequestTranslation {
        var config = AtlasConfiguration()
        config.node.regions.writeStrategy = strategy
        return RequestTranslation(config: config)
    }

    @Test(arguments: levels)
    func aWriteHasTheLevelThatItAsksForOrTheConfiguredOne(
        asked: Atlas_WriteLevel,
        configured: WriteStrategy,
        expected: WriteLevel
    ) throws {
        let translation = translation(configured)
        let arrival = Arrival(timeRemaining: 1_000)
        var put = WirePutRequest()
        (put.key, put.writeLevel) = ([1], asked)
        var delete = WireDeleteRequest()
        (delete.key, delete.writeLevel) = ([1], asked)
        var batch = WireBatchRequest()
        batch.writeLevel = asked
        let writes = [
            try translation.put(put, arrival), try translation.delete(delete, arrival),
            try translation.batch(batch, arrival),
        ]
        for write in writes {
            #expect(write.level == expected)
            #expect(write.deadline == arrival.deadline)
        }
    }

    @Test func aLevelThatNobodyKnowsIsRefused() throws {
        var put = WirePutRequest()
        put.key = [1]
        put.writeLevel = .UNRECOGNIZED(9)
        let error = #expect(throws: ServiceError.self) {
            try translation(.local).put(put, Arrival(timeRemaining: nil))
        }
        #expect(error?.detail.code == .unknownValue)
    }
}
