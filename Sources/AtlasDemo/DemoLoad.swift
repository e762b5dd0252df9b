internal import AtlasClient
internal import struct AtlasTypes.Random
internal import NIOConcurrencyHelpers

/// The workload: clients of one region read and write the sample data, half and half. Reads are consistent ones, so that
/// both have to reach the owner. Operations begin at a steady rate, whether or not others have been answered.
package final class DemoLoad: Sendable {
    static let operationsPerSecond = 100
    /// Beyond this, operations that are due are left out.
    private static let inFlightMax = 256
    private static let timeout = Duration.seconds(2)
    /// Of `DemoPlace.follow`: how long in each region.
    static let timePerRegion = Duration.seconds(15)

    private struct State {
        var place = DemoPlace.off
        /// Where it is now.
        var region: Int?
        var inFlight = 0
        var windows: [LatencyWindow]
        var running: Task<Void, Never>?
        var random = Random(seed: 42)
    }

    private let clients: DemoClients
    private let regionCount: Int
    private let state: NIOLockedValueBox<State>

    init(_ clients: DemoClients, regionCount: Int) {
        self.clients = clients
        self.regionCount = regionCount
        state = NIOLockedValueBox(State(windows: Array(repeating: LatencyWindow(), count: regionCount)))
    }

    var place: DemoPlace { state.withLockedValue { $0.place } }

    /// The region in which the workload is now.
    var region: Int? { state.withLockedValue { $0.region } }

    func move(to place: DemoPlace) {
        let next = task(place)
        let before = state.withLockedValue { state in
            defer { (state.place, state.running) = (place, next) }
            return state.running
        }
        before?.cancel()
        if case .off = place { state.withLockedValue { $0.region = nil } }
    }

    private func task(_ place: DemoPlace) -> Task<Void, Never>? {
        switch place {
        case .off:
            return nil
        case .region(let region):
            return Task { await run(in: region, for: nil) }
        case .follow:
            return Task {
                var region = 0
                while !Task.isCancelled {
                    await run(in: region, for: Self.timePerRegion)
                    region = (region + 1) % regionCount
                }
            }
        }
    }

    /// By region.
    func summaries() -> [LatencyWindow.Summary?] {
        let now = ContinuousClock.now
        return state.withLockedValue { state in state.windows.indices.map { state.windows[$0].summary(at: now) } }
    }

    private func run(in region: Int, for time: Duration?) async {
        state.withLockedValue {
            $0.region = region
            $0.windows[region].reset()
        }
        let start = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            var number = 0
            while !Task.isCancelled {
                let due = start + .seconds(Double(number) / Double(Self.operationsPerSecond))
                if let time, due - start >= time { break }
                guard (try? await Task.sleep(until: due, clock: .continuous)) != nil else { break }
                number += 1
                let isRead = number.isMultiple(of: 2)
                if begin() { group.addTask { await self.operate(in: region, isRead: isRead) } }
            }
        }
    }

    private func begin() -> Bool {
        state.withLockedValue {
            guard $0.inFlight < Self.inFlightMax else { return false }
            $0.inFlight += 1
            return true
        }
    }

    private func operate(in region: Int, isRead: Bool) async {
        let (key, value) = state.withLockedValue {
            (DemoSample.randomKey(&$0.random), DemoSample.randomValue(&$0.random))
        }
        let begin = ContinuousClock.now
        var latency: Duration?
        do {
            let client = try await clients.client(of: region)
            if isRead {
                var options = GetOptions.consistent
                options.timeout = Self.timeout
                _ = try await client.get(key, options: options)
            } else {
                var options = PutOptions()
                options.timeout = Self.timeout
                try await client.put(key, value, options: options)
            }
            latency = ContinuousClock.now - begin
        } catch {
            // Counted below.
        }
        let isOver = Task.isCancelled
        state.withLockedValue {
            $0.inFlight -= 1
            if latency != nil || !isOver { $0.windows[region].add(latency, at: .now) }
        }
    }
}
