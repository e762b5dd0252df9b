import AtlasTypes

/// Random protobuf encodings. They know nothing of any schema, so that small field numbers meet every wire type, fields
/// repeat, and messages nest.
struct FieldSoup {
    private var random: Random
    private var output: [UInt8] = []

    init(seed: UInt64) {
        random = Random(seed: seed)
    }

    /// A well-formed message of a few fields.
    mutating func message() -> [UInt8] {
        output = []
        fields(depth: 0)
        return output
    }

    /// Elements of a repeated field 1, each with an id and messages in the fields 2 to 8: the shape of a session's
    /// messages.
    mutating func session() -> [UInt8] {
        var elements: [UInt8] = []
        for _ in 0..<(1 + below(3)) {
            output = [0x08, UInt8(below(128))]
            for _ in 0..<below(3) {
                nested(number: UInt32(2 + below(7)), depth: 0)
            }
            if below(4) == 0 { fields(depth: 2) }
            let element = output
            output = []
            varint(1 << 3 | 2)
            varint(UInt64(element.count))
            elements += output + element
        }
        return elements
    }

    /// Bytes that mean nothing.
    mutating func noise(countMax: Int) -> [UInt8] {
        (0..<below(countMax + 1)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &random)
    }

    private mutating func fields(depth: Int) {
        for _ in 0..<below(depth == 0 ? 8 : 5) {
            field(number: number(depth: depth), depth: depth)
        }
    }

    /// Numbers that mean something: 1 to 17 in a message, below 10 in most that are nested. Now and then a large one.
    private mutating func number(depth: Int) -> UInt32 {
        switch below(10) {
        case 0: UInt32(1 + below(1 << 20))
        case 1...5 where depth > 0: UInt32(1 + below(9))
        default: UInt32(1 + below(17))
        }
    }

    private mutating func field(number: UInt32, depth: Int) {
        switch below(16) {
        case 0...5:
            varint(UInt64(number << 3))
            varint(integer())
        case 6:
            varint(UInt64(number << 3 | 1))
            output += (0..<8).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case 7:
            varint(UInt64(number << 3 | 5))
            output += (0..<4).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case 8:
            varint(UInt64(number << 3 | 3))
            if depth < 4 { fields(depth: depth + 1) }
            varint(UInt64(number << 3 | 4))
        default: nested(number: number, depth: depth)
        }
    }

    private mutating func nested(number: UInt32, depth: Int) {
        varint(UInt64(number << 3 | 2))
        let content = content(depth: depth)
        varint(UInt64(content.count))
        output += content
    }

    /// What a length-delimited field holds: a message, text, packed varints, sixteen bytes, or noise.
    private mutating func content(depth: Int) -> [UInt8] {
        let outer = output
        defer { output = outer }
        output = []
        switch below(8) {
        case 0...3:
            if depth < 4 { fields(depth: depth + 1) }
        case 4: return Array("région-\(below(100))".utf8)
        case 5:
            for _ in 0..<below(5) { varint(integer()) }
        case 6: return (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        default: return noise(countMax: 6)
        }
        return output
    }

    /// Zero, small, negative, 32-bit and 64-bit numbers.
    private mutating func integer() -> UInt64 {
        switch below(6) {
        case 0: 0
        case 1...2: UInt64(below(8))
        case 2: UInt64(bitPattern: Int64(-below(1000)))
        case 3: random.next() >> 32
        default: random.next()
        }
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        output.append(UInt8(rest))
    }
}
