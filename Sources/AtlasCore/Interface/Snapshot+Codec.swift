internal import AtlasTypes

extension SnapshotOffer {
    func encode(into writer: inout ByteWriter) {
        config.encodeEmbedded(into: &writer)
        writer.write(appliedSlot.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        config = try ConfigBody(embeddedIn: &reader)
        appliedSlot = try reader.readSlot()
    }
}

extension SnapshotRequest {
    func encode(into writer: inout ByteWriter) {
        tablet.encode(into: &writer)
        writer.write(fetch)
        writer.write(optional: after)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        tablet = try TabletKey(from: &reader)
        fetch = try reader.readUInt64()
        after = try reader.readOptional()
    }
}

extension SnapshotPart {
    var encodedSizeHint: Int {
        rows.reduce(512) { sum, row in
            let history = row.history.reduce(0) { $0 + $1.record.value.count + 48 }
            return sum + row.key.bytes.count + (row.newest?.value.count ?? 0) + 48 + history
        }
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(fetch)
        writer.write(optional: after)
        config.encodeEmbedded(into: &writer)
        state.encode(into: &writer)
        writer.write(watermark.rawValue)
        writer.write(all: rows)
        writer.write(isLast)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        fetch = try reader.readUInt64()
        after = try reader.readOptional()
        config = try ConfigBody(embeddedIn: &reader)
        state = try TabletState(from: &reader)
        watermark = try reader.readTimestamp()
        rows = try reader.readAll()
        isLast = try reader.readBool()
    }
}

extension ConfigBody {
    /// The form inside a message, where more follows: says in any case whether there is an origin. The chain is the
    /// business of each node's own log.
    func encodeEmbedded(into writer: inout ByteWriter) {
        config.encode(into: &writer)
        writer.write(optional: origin)
    }

    init(embeddedIn reader: inout ByteReader) throws(CodecError) {
        config = try TabletConfig(from: &reader)
        origin = try reader.readOptional()
        chain = []
    }
}

extension ConfigBody.Origin: BinaryForm {
    static var encodedSizeMin: Int { 13 }

    func encode(into writer: inout ByteWriter) {
        sealed.encode(into: &writer)
        writer.write(slot.rawValue)
        firstBallot.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        sealed = try TabletKey(from: &reader)
        slot = try reader.readSlot()
        firstBallot = try Ballot(from: &reader)
    }
}

extension TabletState {
    func encode(into writer: inout ByteWriter) {
        writer.write(tablet.rawValue)
        writer.write(epoch)
        writer.write(appliedSlot.rawValue)
        writer.write(appliedTimestamp.rawValue)
        writer.write(closedTimestamp.rawValue)
        writer.write(fixed: stateHash)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self.init(tablet: TabletID(rawValue: try reader.readUInt64()), epoch: try reader.readEpoch())
        appliedSlot = try reader.readSlot()
        appliedTimestamp = try reader.readTimestamp()
        closedTimestamp = try reader.readTimestamp()
        stateHash = try reader.readFixed()
    }
}

extension SnapshotRow: BinaryForm {
    static var encodedSizeMin: Int { 3 }

    func encode(into writer: inout ByteWriter) {
        key.encode(into: &writer)
        writer.write(optional: newest)
        writer.write(all: history)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        key = try Key(from: &reader)
        newest = try reader.readOptional()
        history = try reader.readAll()
    }
}

extension Record: BinaryForm {
    static var encodedSizeMin: Int { 19 }

    func encode(into writer: inout ByteWriter) {
        writer.write(version.rawValue)
        writer.write(expiry)
        requestID.encode(into: &writer)
        writer.write(value)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        version = try reader.readTimestamp()
        expiry = try reader.readUInt64()
        requestID = try RequestID(from: &reader)
        value = try reader.readBytes()
    }
}

extension HistoryRow: BinaryForm {
    static var encodedSizeMin: Int { 21 }

    func encode(into writer: inout ByteWriter) {
        record.encode(into: &writer)
        writer.write(supersededBy.rawValue)
        writer.write(isDelete)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        record = try Record(from: &reader)
        supersededBy = try reader.readTimestamp()
        isDelete = try reader.readBool()
    }
}
