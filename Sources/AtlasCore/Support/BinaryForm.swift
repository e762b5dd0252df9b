package import AtlasTypes

/// What has one binary form wherever it stands; the form says by itself where it ends.
protocol BinaryForm {
    /// No value takes fewer bytes. A count of elements that cannot be there is refused before memory is reserved.
    static var encodedSizeMin: Int { get }

    func encode(into writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(CodecError)
}

extension ByteWriter {
    mutating func write(all elements: [some BinaryForm]) {
        write(UInt64(elements.count))
        for element in elements { element.encode(into: &self) }
    }

    /// A byte says whether there is a value.
    mutating func write(optional value: (some BinaryForm)?) {
        write(value != nil)
        value?.encode(into: &self)
    }

    mutating func write(tag: some RawRepresentable<UInt8>) {
        write(byte: tag.rawValue)
    }

    mutating func write(text: String) {
        write(Array(text.utf8))
    }
}

extension ByteReader {
    /// Elements for which memory is reserved before the first is read: those of small messages, all at once.
    static let reservedMax = 1_024

    /// - Parameter max: no writer writes more.
    mutating func readAll<Element: BinaryForm>(
        _: Element.Type = Element.self,
        max: Int = .max
    ) throws(CodecError) -> [Element] {
        let count = try readCount(of: Element.encodedSizeMin, max: max)
        var elements: [Element] = []
        elements.reserveCapacity(min(count, Self.reservedMax))
        for _ in 0..<count { elements.append(try Element(from: &self)) }
        return elements
    }

    mutating func readOptional<Value: BinaryForm>(_: Value.Type = Value.self) throws(CodecError) -> Value? {
        try readBool() ? try Value(from: &self) : nil
    }

    mutating func readTag<Tag: RawRepresentable<UInt8>>(_: Tag.Type = Tag.self) throws(CodecError) -> Tag {
        let byte = try readByte()
        guard let tag = Tag(rawValue: byte) else { throw .unknownTag(byte) }
        return tag
    }

    mutating func readInt() throws(CodecError) -> Int {
        guard let value = Int(exactly: try readUInt64()) else { throw .invalid("a number out of range") }
        return value
    }

    /// Nanoseconds that can be added to a reading of a clock: 292 years at most.
    mutating func readDuration() throws(CodecError) -> UInt64 {
        let value = try readUInt64()
        guard value <= UInt64(Int64.max) else { throw .invalid("a duration out of range") }
        return value
    }

    /// What is not UTF-8 is repaired.
    mutating func readText() throws(CodecError) -> String {
        String(decoding: try readBytes(), as: UTF8.self)
    }
}

extension Slot: BinaryForm {
    static var encodedSizeMin: Int { 1 }

    func encode(into writer: inout ByteWriter) {
        writer.write(rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self = try reader.readSlot()
    }
}

extension Timestamp: BinaryForm {
    static var encodedSizeMin: Int { 1 }

    func encode(into writer: inout ByteWriter) {
        writer.write(rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self = try reader.readTimestamp()
    }
}

extension NodeID: BinaryForm {
    static var encodedSizeMin: Int { 8 }

    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self.init(rawValue: try reader.readFixed())
    }
}

extension RegionID: BinaryForm {
    static var encodedSizeMin: Int { 1 }

    func encode(into writer: inout ByteWriter) {
        writer.write(self)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self = try reader.readRegion()
    }
}

extension RequestID: BinaryForm {
    static var encodedSizeMin: Int { 16 }

    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: high)
        writer.write(fixed: low)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self.init(high: try reader.readFixed(), low: try reader.readFixed())
    }
}

extension Key: BinaryForm {
    static var encodedSizeMin: Int { 1 }

    func encode(into writer: inout ByteWriter) {
        writer.write(bytes)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self.init(try reader.readBytes())
    }
}

extension KeyRange: BinaryForm {
    static var encodedSizeMin: Int { 2 }

    package func encode(into writer: inout ByteWriter) {
        writer.write(start.bytes)
        writer.write(optional: end)
    }

    package init(from reader: inout ByteReader) throws(CodecError) {
        let start = Key(try reader.readBytes())
        self.init(start: start, end: try reader.readOptional())
    }
}

extension ByteWriter {
    package mutating func write(_ region: RegionID) {
        write(UInt64(UInt32(bitPattern: region.rawValue)))
    }
}

extension ByteReader {
    package mutating func readRegion() throws(CodecError) -> RegionID {
        RegionID(rawValue: Int32(bitPattern: try readUInt32()))
    }
}

extension ByteReader {
    package mutating func readTimestamp() throws(CodecError) -> Timestamp {
        let stamp = Timestamp(rawValue: try readUInt64())
        guard stamp <= .max else { throw .invalid("a stamp out of range") }
        return stamp
    }

    /// Epochs from outside are below this, so that counting on from them never overflows.
    package static let epochMax: UInt64 = 1 << 62

    package mutating func readEpoch() throws(CodecError) -> UInt64 {
        let epoch = try readUInt64()
        guard epoch < Self.epochMax else { throw .invalid("an epoch out of range") }
        return epoch
    }

    /// A slot, or zero for none.
    package mutating func readSlot() throws(CodecError) -> Slot {
        let slot = Slot(rawValue: try readUInt64())
        guard slot.rawValue < .max / 2 else { throw .invalid("a slot out of range") }
        return slot
    }
}
