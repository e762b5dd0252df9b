package import AtlasWire

/// Links between nodes that do not work although both nodes run. A node knows of its own links alone, so all are asked.
package struct BrokenLinks {
    package struct Link: Hashable, Comparable {
        package let first: String
        package let second: String

        package init(_ one: String, _ other: String) {
            (first, second) = (min(one, other), max(one, other))
        }

        package static func < (left: Link, right: Link) -> Bool {
            (left.first, left.second) < (right.first, right.second)
        }
    }

    private let reports: [String: ClusterSurvey.Report]

    package init(_ survey: ClusterSurvey) {
        reports = survey.reports
    }

    /// Of a tablet's voters, as far as the node that was asked first reaches them: those of which one does not reach another.
    package func links(of tablet: Atlas_TabletInfo) -> Set<Link> {
        let alive = Set(tablet.voters.filter(\.isReachable).map(\.nodeID))
        let pairs = alive.flatMap { name -> [Link] in
            let told = reports[name]?.tablets.first { $0.tablet == tablet.tablet && $0.epoch == tablet.epoch }
            let missed = told?.voters.filter { !$0.isReachable && $0.nodeID != name && alive.contains($0.nodeID) } ?? []
            return missed.map { Link(name, $0.nodeID) }
        }
        return Set(pairs)
    }

    /// The tablet with those voters alone as reachable that all reach each other: of two that do not, one counts as failed.
    /// So what may fail besides is never said to be more than it is.
    package func connected(_ tablet: Atlas_TabletInfo) -> Atlas_TabletInfo {
        var tablet = tablet
        var links = links(of: tablet)
        while !links.isEmpty {
            let ends = links.flatMap { [$0.first, $0.second] }
            let counts = Dictionary(ends.map { ($0, 1) }, uniquingKeysWith: +)
            // The owner stays where it may: it is the one that serves.
            func weight(_ name: String) -> (Int, Int, String) {
                (counts[name]!, name == tablet.ownerNode ? 0 : 1, name)
            }
            guard let worst = counts.keys.max(by: { weight($0) < weight($1) }) else { break }
            links = links.filter { $0.first != worst && $0.second != worst }
            for index in tablet.voters.indices where tablet.voters[index].nodeID == worst {
                tablet.voters[index].isReachable = false
            }
        }
        return tablet
    }
}
