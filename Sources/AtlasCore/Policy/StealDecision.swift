package import AtlasTypes

/// Whether a tablet's ownership is to move, and why.
package struct StealDecision: Hashable, Sendable {
    /// Where to; `nil`: stay.
    package var target: RegionID?
    package var reason: Reason
    /// Where the accesses came from, sorted by region.
    package var weights: [RegionWeight]

    /// What decided. Most can stand behind a move as well as behind staying: `target` tells which.
    package enum Reason: Hashable, Sendable {
        /// The policy is `none`.
        case policyNone
        /// The tablet is pinned to this region.
        case pinned(RegionID)
        /// The policy wants this region, but no live voter there could own; `nil`: there is none outside the home.
        case noCandidate(RegionID?)
        /// Too few accesses to decide: the decayed weight and what is needed, both in thousandths of an access.
        case notEnoughAccesses(havePermille: UInt64, needPermille: UInt64)
        /// The policy finds no better place than the home.
        case alreadyHome
        /// It would move, but the last move was a short time ago.
        case tooSoon(remainingMilliseconds: UInt64, saving: Saving)
        /// `immediate`: the last access came from another region.
        case accessElsewhere
        /// `consecutive`: so many accesses in a row came from one other region.
        case consecutive(count: UInt64, needed: UInt64)
        /// `majority`: the greatest share of the accesses in the last interval that had enough.
        case majorityShare(permille: Int)
        /// `ema`: the greatest average share.
        case ema(permille: Int)
        /// `adaptive`: what the best other place would save.
        case saving(Saving)
        /// The policy wants this region, but the node's budget of moves is used up.
        case overBudget(RegionID)
    }

    /// The account of the best other place, in microseconds of waiting of the decayed accesses.
    package struct Saving: Hashable, Sendable {
        package var region: RegionID
        /// How much less the accesses would wait if the tablet were owned there.
        package var expectedMicroseconds: UInt64
        /// What moving costs.
        package var moveCostMicroseconds: UInt64
        /// The tablet moves if the expected saving is greater than this.
        package var neededMicroseconds: UInt64

        package init(
            region: RegionID,
            expectedMicroseconds: UInt64,
            moveCostMicroseconds: UInt64,
            neededMicroseconds: UInt64
        ) {
            self.region = region
            self.expectedMicroseconds = expectedMicroseconds
            self.moveCostMicroseconds = moveCostMicroseconds
            self.neededMicroseconds = neededMicroseconds
        }
    }

    package init(target: RegionID?, reason: Reason, weights: [RegionWeight]) {
        self.target = target
        self.reason = reason
        self.weights = weights
    }

    /// The same, but the move does not happen because the node's budget of moves is used up.
    package func overBudget() -> StealDecision {
        guard let target else { return self }
        return StealDecision(target: nil, reason: .overBudget(target), weights: weights)
    }
}

/// What came from one region.
package struct RegionWeight: Hashable, Sendable {
    package var region: RegionID
    /// Decayed accesses, in thousandths.
    package var accessesPermille: UInt64
    /// The round trip of a write from there to the owner; `nil` if it has not been measured.
    package var roundTripNowMicroseconds: UInt64?
    /// The same if the tablet were owned by `target`, or by the best other place; `nil` if there is none such, or if it
    /// has not been measured.
    package var roundTripMovedMicroseconds: UInt64?

    package init(
        region: RegionID,
        accessesPermille: UInt64,
        roundTripNowMicroseconds: UInt64?,
        roundTripMovedMicroseconds: UInt64?
    ) {
        self.region = region
        self.accessesPermille = accessesPermille
        self.roundTripNowMicroseconds = roundTripNowMicroseconds
        self.roundTripMovedMicroseconds = roundTripMovedMicroseconds
    }
}

extension StealDecision: CustomStringConvertible {
    /// One line for people.
    package var description: String {
        description { "region \($0.rawValue)" }
    }

    /// One line for people, with regions as `name` calls them.
    package func description(name: (RegionID) -> String) -> String {
        let verdict = target.map { "move to \(name($0))" } ?? "stay"
        let origins = weights.map { weight in
            let now = Self.milliseconds(weight.roundTripNowMicroseconds)
            let moved = Self.milliseconds(weight.roundTripMovedMicroseconds)
            return "\(name(weight.region)) \(Self.decimal(weight.accessesPermille)) (\(now), moved \(moved))"
        }
        let accesses = origins.isEmpty ? "none" : origins.joined(separator: ", ")
        return "\(verdict): \(text(name)); recent accesses: \(accesses)"
    }

    private func text(_ name: (RegionID) -> String) -> String {
        switch reason {
        case .policyNone: "the policy is none"
        case .pinned(let region): "pinned to \(name(region))"
        case .noCandidate(let region?): "no live voter in \(name(region)) could own it"
        case .noCandidate(nil): "no other region could own it"
        case .notEnoughAccesses(let have, let need):
            "\(Self.decimal(have)) recent accesses, \(Self.decimal(need)) are needed"
        case .alreadyHome: "no other region is better"
        case .tooSoon(let remaining, let saving):
            "\(remaining) ms too soon after the last move; \(Self.text(saving, name))"
        case .accessElsewhere: "the last access came from there"
        case .consecutive(let count, let needed): "\(count) accesses in a row from one other region of \(needed) needed"
        case .majorityShare(let permille): "\(Self.percent(permille)) of the last interval's accesses from one region"
        case .ema(let permille): "an average of \(Self.percent(permille)) of the accesses from one region"
        case .saving(let saving): Self.text(saving, name)
        case .overBudget(let region): "no moves left in this node's budget for one to \(name(region))"
        }
    }

    private static func text(_ saving: Saving, _ name: (RegionID) -> String) -> String {
        let (expected, needed) = (saving.expectedMicroseconds, saving.neededMicroseconds)
        let cost = milliseconds(saving.moveCostMicroseconds)
        return "\(name(saving.region)) would save \(milliseconds(expected)) of waiting, "
            + "it takes more than \(milliseconds(needed)) (moving costs \(cost))"
    }

    private static func milliseconds(_ microseconds: UInt64?) -> String {
        microseconds.map { "\(decimal($0)) ms" } ?? "not measured"
    }

    private static func percent(_ permille: Int) -> String {
        "\(permille / 10).\(permille % 10) %"
    }

    /// Thousandths as a decimal number with up to three places.
    static func decimal(_ thousandths: UInt64) -> String {
        var places = String(thousandths % 1_000 + 1_000).dropFirst()
        while places.last == "0" { places.removeLast() }
        return places.isEmpty ? "\(thousandths / 1_000)" : "\(thousandths / 1_000).\(places)"
    }
}
