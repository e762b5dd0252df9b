internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes

/// What the core asks for, carried out.
extension Shard {
    func carryOut(_ effect: Effect, now: Instant) {
        switch effect {
        case .append(let record, let token, let mustSync):
            records.append(record)
            recordsToken = token
            recordsMustSync = recordsMustSync || mustSync
        case .send(let message, let receiver, let token):
            send(message, to: receiver, after: token)
        case .apply(let tablet, let entries):
            guard let (_, state) = core.applied(tablet) else { preconditionFailure("no such tablet to apply to") }
            chosen.append((entries, state))
        case .read(let handle, let point):
            read(handle, point)
        case .reply(let handle, let reply):
            answer(handle, Outcome(reply, missing: core.liveness.missing))
        case .permitReads(let tablet, let until, let time):
            permitReads(of: tablet, until: until, time: time)
        case .withdrawReadPermit(let tablet):
            permits.withdraw(tablet)
        case .truncateLog(let tablet, let epoch, let slot):
            log.truncate(tablet: tablet, epoch: epoch, through: slot)
        case .wake(let time):
            wake.arm(at: time, now: now, on: loop) { [weak self] in self?.submit(.wake) }
        case .report(let text):
            logger.warning("\(text)")
        case .readSnapshot(let request, let receiver, let bytesMax, let keep):
            readSnapshot(request, for: receiver, bytesMax: bytesMax, keep: keep)
        case .stageSnapshot(let part):
            stage(part)
        case .installSnapshot(let tablet, let fetch):
            install(tablet, fetch: fetch)
        case .dropStagedSnapshot(let tablet):
            transfers.drop(tablet)
        case .discard(let config, let token):
            if token <= durableToken { discard(config) } else { leaving.append((token, config)) }
        }
    }

    private func permitReads(of tablet: TabletID, until: UInt64, time: Timestamp) {
        guard let (config, applied) = core.applied(tablet) else { return }
        permits.grant(config.key, config.range, until: until, time: time, applied: applied.appliedTimestamp)
    }

    // MARK: - Applying

    /// Before anything else changes the store, too.
    func applyChosen() {
        for (entries, state) in chosen { apply(entries, to: state) }
        chosen.removeAll(keepingCapacity: true)
    }

    private func apply(_ entries: [Entry], to state: TabletState) {
        let finished = applier.apply(entries, to: state) { [self] result in
            switch result {
            case .success(let outcome):
                permits.noteApplied(outcome.state)
                submit(.event(.applied(outcome.state, results: outcome.results)))
            case .failure(let error):
                submit(.fail(.failed("applying failed: \(error)")))
            }
        }
        switch finished {
        case .success(let outcome):
            permits.noteApplied(outcome.state)
            followUps.append(.applied(outcome.state, results: outcome.results))
        case .failure(let error):
            fail(.failed("applying failed: \(error)"))
        case nil:
            break
        }
    }

    // MARK: - Reading

    /// Answers from the applied state as it is now, even where that takes a thread that may wait.
    private func read(_ handle: RequestHandle, _ point: ReadPoint) {
        guard point.query != nil else { return answer(handle, .readAt(point)) }
        do throws(StoreError) {
            followUps.append(
                .readFinished(handle, point, .success(try store.answer(point, bytesMax: answerBytesMax, tier: .memory)))
            )
        } catch .notInMemory {
            let snapshot = store.snapshot()
            pool.submit { [self] _ in
                let result: Result<ReadResult, Refusal>
                do throws(StoreError) {
                    result = .success(try snapshot.answer(point, bytesMax: answerBytesMax, tier: .disk))
                } catch {
                    result = .failure(Refusal(error))
                }
                submit(.event(.readFinished(handle, point, result)))
            }
        } catch {
            followUps.append(.readFinished(handle, point, .failure(Refusal(error))))
        }
    }

    // MARK: - Snapshots

    private func readSnapshot(_ request: SnapshotRequest, for receiver: NodeID, bytesMax: Int, keep: Bool) {
        // The sender keeps this for as long as somebody fetches.
        transfers.sender.read(request, known: core.replica(request.tablet), bytesMax: bytesMax, keep: keep) {
            [weak self] part in
            self?.submit(.event(.snapshotRead(request, for: receiver, part)))
        }
    }

    private func stage(_ part: SnapshotPart) {
        transfers.stage(part) { [self] error in
            logger.warning("a snapshot cannot be taken in", metadata: ["error": "\(error)"])
            submit(.event(.snapshotLost(part.config.config.key, fetch: part.fetch)))
        }
    }

    private func install(_ tablet: TabletKey, fetch: UInt64) {
        applyChosen()
        transfers.install(tablet, fetch: fetch) { [self] result in
            switch result {
            case .success(let (body, state)):
                submit(.installed(.snapshotInstalled(body, state), tablet))
            case .failure(let error):
                logger.warning("a snapshot cannot be installed", metadata: ["error": "\(error)"])
                submit(.installed(.snapshotLost(tablet, fetch: fetch), tablet))
            }
        }
    }

    /// Drops the rows of a tablet that has left, but for those of tablets that are here or on their way into the store.
    func discard(_ config: TabletConfig) {
        applyChosen()
        log.truncate(tablet: config.tablet, epoch: config.epoch, through: .endOfEpoch)
        permits.leave(config)
        transfers.discard(config, keeping: core.tablets.map(\.config)) { [self] error in
            submit(.fail(.failed("a tablet that has left could not be dropped: \(error)")))
        }
    }
}

extension RocksDBStore {
    /// What a read asks for, from the newest state.
    fileprivate func answer(_ point: ReadPoint, bytesMax: Int, tier: ReadTier) throws(StoreError) -> ReadResult {
        // One key needs no frozen view.
        guard case .get(let command) = point.query, command.operations.count == 1 else {
            return try snapshot().answer(point, bytesMax: bytesMax, tier: tier)
        }
        let (tablet, time) = (point.receipt.tablet.tablet, point.time)
        return .got(
            try StateMachine.evaluate(command, now: time.milliseconds) { key throws(StoreError) in
                if let version = point.version { return try record(of: key, at: version, tier: tier) }
                return try liveRecord(of: key, in: tablet, from: time, tier: tier).record
            }
        )
    }
}

extension RocksDBSnapshot {
    fileprivate func answer(_ point: ReadPoint, bytesMax: Int, tier: ReadTier) throws(StoreError) -> ReadResult {
        switch point.query {
        case .get(let command):
            let time = try readTime(of: point.receipt.tablet.tablet, from: point.time, at: point.version)
            return .got(
                try StateMachine.evaluate(
                    command,
                    now: time.milliseconds,
                    answerBytesMax: bytesMax
                ) { key throws(StoreError) in
                    try record(of: key, at: point.version, tier: tier)
                }
            )
        case .scan(let scan):
            return .page(
                try self.scan(
                    point.range,
                    reverse: scan.reverse,
                    keysOnly: scan.keysOnly,
                    at: point.version,
                    now: point.time.milliseconds,
                    // What another node asks for is no reason to hold more than a page.
                    limit: min(scan.limit, Node.scanPageItemsMax),
                    bytesMax: min(scan.bytesMax, Node.scanPageBytesMax),
                    tier: tier
                )
            )
        case .timestamp, nil:
            throw .failed("there is nothing to read")
        }
    }
}

extension ReadPoint {
    /// What has expired by then is left out.
    fileprivate var time: Timestamp {
        version ?? receipt.stamp
    }
}

extension Refusal {
    fileprivate init(_ error: StoreError) {
        switch error {
        case .versionNotRetained(let oldest): self = .versionNotRetained(oldest: oldest)
        default: self = .failed("\(error)")
        }
    }
}
