package import AtlasTypes

/// The tablets that a node has heard of and does not hold, and who is said to own them. Hints alone: whoever is asked
/// in error says so.
package struct TabletDirectory: Sendable {
    private struct Known: Sendable {
        var config: TabletConfig
        var owner: NodeID?
    }

    private var known: [Known] = []
    private static let countMax = 65_536

    package init() {}

    package var configs: [TabletConfig] {
        known.map(\.config)
    }

    /// Takes in a config, and forgets earlier ones that it replaces.
    mutating func insert(_ config: TabletConfig) {
        if known.contains(where: { $0.config.key == config.key }) { return }
        known.removeAll { $0.config.epoch < config.epoch && config.range.includes($0.config.range) }
        guard known.count < Self.countMax else { return }
        known.append(Known(config: config))
    }

    mutating func noteOwner(_ owner: NodeID?, of key: TabletKey) {
        guard let index = known.firstIndex(where: { $0.config.key == key }) else { return }
        known[index].owner = owner
    }

    func config(holding key: Key) -> TabletConfig? {
        known.filter { $0.config.range.contains(key) }.max { $0.config.epoch < $1.config.epoch }?.config
    }

    /// The last tablet below a key; `nil` is the end of the key space.
    func config(before end: Key?) -> TabletConfig? {
        known.filter { $0.config.range.reaches(end) }.max { $0.config.epoch < $1.config.epoch }?.config
    }

    package func owner(of key: TabletKey) -> NodeID? {
        known.first { $0.config.key == key }?.owner
    }

    func knows(newerThan key: TabletKey) -> Bool {
        known.contains { $0.config.tablet == key.tablet && $0.config.epoch > key.epoch }
    }
}
