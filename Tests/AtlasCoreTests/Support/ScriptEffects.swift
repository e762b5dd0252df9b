import AtlasCore
import AtlasTypes

/// What the core wants done, in one line each. A message names its log token while it has to wait for that.
extension Notation {
    static func text(_ effect: Effect, durable: LogToken = 0) -> String {
        switch effect {
        case .append(let record, let token, let mustSync):
            "append \(token)\(mustSync ? " synced" : "") \(text(record))"
        case .send(let message, let receiver, let token):
            "send \(receiver.rawValue)\(token > durable ? " after \(token)" : ""): \(text(message))"
        case .apply(let tablet, let entries):
            "apply\(tablet == .first ? "" : " [\(tablet.rawValue)]")\(text(entries))"
        case .read(let handle, let point):
            "read \(handle) at \(point.version.map(text) ?? "newest") of slot \(point.receipt.slot.rawValue)"
                + " as of \(text(point.receipt.stamp))" + staleness(point.receipt)
                + (point.query == nil ? "" : ":" + text(point.query, range: point.range))
        case .reply(let handle, .refused(let refusal)):
            "refuse \(handle): \(text(refusal))"
        case .reply(let handle, let reply):
            "reply \(handle): \(text(reply))"
        case .permitReads(let tablet, let until, let time):
            "permit reads" + of(tablet) + (until == .max ? "" : " until \(text(nanoseconds: until))")
                + " as of \(text(time))"
        case .withdrawReadPermit(let tablet):
            "withdraw read permit" + of(tablet)
        case .truncateLog(let tablet, let epoch, let through):
            "truncate log" + of(TabletKey(tablet: tablet, epoch: epoch)) + " through \(through.rawValue)"
        case .wake(let time):
            "wake at \(text(nanoseconds: time))"
        case .readSnapshot(let request, let receiver, _, let keep):
            "read snapshot" + of(request.tablet) + " \(request.fetch) for \(receiver.rawValue)"
                + option("after", request.after.map { "\($0)" }) + (keep ? "" : " once")
        case .stageSnapshot(let part):
            "stage snapshot" + of(part.config.config.key) + " \(part.fetch): \(part.rows.count) rows"
        case .installSnapshot(let key, let fetch):
            "install snapshot" + of(key) + " \(fetch)"
        case .dropStagedSnapshot(let key):
            "drop staged snapshot" + of(key)
        case .discard(let config, let token):
            "discard\(token > durable ? " after \(token)" : "") \(text(config))"
        case .report(let text):
            "report \(text)"
        }
    }

    static func staleness(_ receipt: Receipt) -> String {
        switch receipt.staleness {
        case 0: ""
        case .max: ", of unknown age"
        default: ", \(receipt.staleness)ms stale"
        }
    }

    private static func of(_ tablet: TabletID) -> String {
        tablet == .first ? "" : " of \(tablet.rawValue)"
    }

    private static func of(_ key: TabletKey) -> String {
        key == TabletKey(tablet: .first, epoch: 1) ? "" : " of \(text(key))"
    }

    private static func text(_ record: LogRecord) -> String {
        let prefix = record.tablet == .none ? "" : prefix(TabletKey(tablet: record.tablet, epoch: record.epoch))
        switch record.kind {
        case .promise:
            guard let body = try? PromiseBody(decoding: record.body) else { return "damaged promise" }
            return prefix + "promise \(text(body.ballot)) clock \(text(body.clock))" + option("fresh", text(body.fresh))
        case .entries:
            guard let body = try? EntriesBody(decoding: record.body), body.entries.first?.slot == record.firstSlot,
                body.entries.last?.slot == record.lastSlot
            else { return "damaged entries" }
            return prefix + "entries \(text(body.ballot)) commit \(body.commitPoint.rawValue)"
                + option("fresh", body.freshFrom == .zero ? nil : "\(body.freshFrom.rawValue)") + text(body.entries)
        case .clockBound:
            guard let body = try? ClockBody(decoding: record.body) else { return "damaged clock bound" }
            return "clock bound \(text(body.bound)) support \(text(nanoseconds: body.supportDuration))"
        case .config:
            guard let body = try? ConfigBody(decoding: record.body) else { return "damaged config" }
            return "config \(text(body))"
        default:
            return prefix + "\(record.kind)"
        }
    }
}
