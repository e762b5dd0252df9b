internal import AtlasCore
internal import AtlasTypes

/// What the disks and stores of nodes do, and how nodes start and stop.
extension World {
    // MARK: - Disk and store

    func beginSync(_ number: Int) {
        let node = nodes[number]
        guard !node.isSyncing, let token = node.disk.lastToken else { return }
        node.isSyncing = true
        var latency = diskRandom.between(options.disk.syncLatency / 2, options.disk.syncLatency * 2)
        if !faultsEnded, diskRandom.chance(options.disk.slowPermille) { latency *= 100 }
        schedule(.synced(node: number, life: node.life, token: token), after: latency)
    }

    func finishSync(_ number: Int, token: LogToken) throws(SimulationFailure) {
        let node = nodes[number]
        node.isSyncing = false
        if node.failsNextSync, !faultsEnded {
            // Nobody knows what of it is on the disk; the log gives up at once.
            try crash(number)
            return schedule(.start(node: number), after: diskRandom.exponential(1_000_000_000))
        }
        try judge.noteDurable(node.disk.sync(through: token), at: number)
        beginSync(number)
        try feed(number, .durable(token))
    }

    func finishApply(_ number: Int, _ tablet: TabletID) throws(SimulationFailure) {
        let node = nodes[number]
        guard let entries = node.applying.removeValue(forKey: tablet),
            let replica = node.core!.tablets.first(where: { $0.config.tablet == tablet })
        else { throw SimulationFailure("apply", "nothing was to be applied") }
        let outcome: StateMachine.Outcome
        do { outcome = try node.apply(entries, to: replica.applied, random: &diskRandom) } catch {
            throw SimulationFailure("apply", "\(error)")
        }
        note(
            "\(name(number)) applies \(outcome.state.tablet.rawValue % 1_000)@\(outcome.state.epoch): \(entries.map(\.slot.rawValue)) \(outcome.results)"
        )
        try judge.noteApplied(outcome, entries, at: number)
        try feed(number, .applied(outcome.state, results: outcome.results))
    }

    func finishInstall(_ number: Int, _ tablet: TabletID, fetch: UInt64) throws(SimulationFailure) {
        let node = nodes[number]
        if let key = node.staged[tablet]?.parts.first?.config.config.key, losesSnapshot() {
            node.installing[tablet] = nil
            node.staged[tablet] = nil
            return try feed(number, .snapshotLost(key, fetch: fetch))
        }
        guard node.installing.removeValue(forKey: tablet) == fetch, let (body, state) = node.install(tablet) else {
            throw SimulationFailure("snapshot", "nothing was to be installed")
        }
        node.staged[tablet] = nil
        statistics.snapshots += 1
        note(
            "\(name(number)) installs a snapshot of tablet \(tablet.rawValue % 1_000)@\(state.epoch) at \(state.appliedSlot.rawValue)"
        )
        try judge.noteInstalled(state, at: number)
        try feed(number, .snapshotInstalled(body, state))
    }

    /// Whether there is no space for what has come of a snapshot.
    func losesSnapshot() -> Bool {
        !faultsEnded && diskRandom.chance(options.disk.lostSnapshotPermille)
    }

    func scheduleFlush(_ number: Int) {
        schedule(.flush(node: number), after: 1 + diskRandom.exponential(options.disk.flushInterval))
    }

    func flush(_ number: Int) throws(SimulationFailure) {
        let node = nodes[number]
        scheduleFlush(number)
        guard node.isUp, node.pausedUntil <= now else { return }
        for state in node.store.flush() { try feed(number, .flushed(state)) }
    }

    // MARK: - Starts

    func start(_ number: Int) throws(SimulationFailure) {
        let node = nodes[number]
        guard !node.isUp, !lost.contains(number) else { return }
        node.pausedUntil = 0
        var outcomes: [(StateMachine.Outcome, [Entry])] = []
        do {
            try node.restore(
                members: members,
                directory: initialConfigs,
                seed: lifeRandom.next(),
                options: options,
                random: &diskRandom
            ) { outcomes.append(($0, $1)) }
        } catch {
            throw SimulationFailure("restart", "\(error)")
        }
        for (outcome, entries) in outcomes {
            note(
                "\(name(number)) applies \(outcome.state.tablet.rawValue % 1_000)@\(outcome.state.epoch) again: \(entries.map(\.slot.rawValue)) \(outcome.results)"
            )
            try judge.noteApplied(outcome, entries, at: number)
        }
        try judge.checkRestart(number, node.core!)
        note(
            "\(name(number)) starts\(node.core!.tablets.map { "\n                \($0.summary)" }.joined())",
            .up(number)
        )
        try feed(number, .start)
    }

    func crash(_ number: Int) throws(SimulationFailure) {
        let node = nodes[number]
        guard node.isUp else { return }
        note("\(name(number)) crashes", .down(number))
        statistics.marks.formUnion(node.core!.marks)
        try judge.noteDurable(node.crash(random: &diskRandom), at: number)
        judge.noteCrash(number)
        // The machine lives, and resets its connections; or it does not.
        guard faultRandom.chance(700) else { return }
        for other in nodes.indices where other != number {
            for time in network.arrivals(from: number, to: other, now: now) {
                schedule(.linkLost(of: number, at: other), at: time)
            }
        }
    }
}
