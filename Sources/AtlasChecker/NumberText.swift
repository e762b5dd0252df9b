/// Numbers as values of keys: decimal text, in lists with commas between them.
enum NumberText {
    static func encode<Number: FixedWidthInteger>(_ numbers: [Number]) -> History.Value {
        Array(numbers.map { String($0) }.joined(separator: ",").utf8)
    }

    static func decode<Number: FixedWidthInteger>(_ value: History.Value, as type: Number.Type) -> [Number]? {
        guard !value.isEmpty else { return [] }
        let parts = value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Number(String(decoding: $0, as: UTF8.self)) }
        return numbers.count == parts.count ? numbers : nil
    }
}
