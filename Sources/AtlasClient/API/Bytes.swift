/// A key or a value: any sequence of bytes. Text is written as a literal, or converted as UTF-8.
///
/// ```swift
/// let value: Bytes = "text"
/// print(value)                  // text
/// let text = String(value)      // invalid UTF-8 is repaired
/// let strict = value.string     // nil if it is not UTF-8
/// let raw = value.array         // [UInt8]
/// ```
///
/// Bytes are ordered as the database orders keys: as unsigned numbers, from left to right.
@frozen
public struct Bytes: Sendable {
    /// The bytes.
    public var array: [UInt8]

    /// Takes an array as it is.
    @inlinable
    public init(_ array: [UInt8]) {
        self.array = array
    }

    /// Collects bytes.
    @inlinable
    public init(_ bytes: some Sequence<UInt8>) {
        array = Array(bytes)
    }

    /// The UTF-8 of a text.
    @inlinable
    public init(_ text: some StringProtocol) {
        array = Array(text.utf8)
    }

    /// No bytes.
    @inlinable
    public init() {
        array = []
    }

    /// The text that the bytes are the UTF-8 of; `nil` if they are none.
    public var string: String? {
        String(validating: array, as: UTF8.self)
    }
}

extension String {
    /// The text of UTF-8 bytes; what is not UTF-8 is replaced by U+FFFD.
    @inlinable
    public init(_ bytes: Bytes) {
        self.init(decoding: bytes.array, as: UTF8.self)
    }
}

// MARK: - Protocols of the standard library

extension Bytes: Hashable {
    @inlinable
    public static func == (left: Bytes, right: Bytes) -> Bool {
        left.array == right.array
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        array.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension Bytes: Comparable {
    @inlinable
    public static func < (left: Bytes, right: Bytes) -> Bool {
        left.array.lexicographicallyPrecedes(right.array)
    }
}

extension Bytes: RandomAccessCollection {
    @inlinable
    public var startIndex: Int { 0 }

    @inlinable
    public var endIndex: Int { array.count }

    @inlinable
    public subscript(position: Int) -> UInt8 { array[position] }
}

extension Bytes: ExpressibleByStringLiteral {
    @inlinable
    public init(stringLiteral text: String) {
        self.init(text)
    }
}

extension Bytes: ExpressibleByArrayLiteral {
    @inlinable
    public init(arrayLiteral bytes: UInt8...) {
        self.init(bytes)
    }
}

extension Bytes: CustomStringConvertible {
    /// The text, if the bytes are UTF-8; otherwise `0x` and hexadecimal digits.
    public var description: String {
        string ?? "0x" + hex
    }

    /// Two lower case hexadecimal digits for each byte.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * array.count)
        for byte in array {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

// MARK: - What can be used as a key or a value

/// What can be used as a key or a value. Any sequence of bytes conforms with an empty extension:
///
/// ```swift
/// extension Data: @retroactive BytesConvertible {}
/// ```
public protocol BytesConvertible {
    /// As bytes.
    var asBytes: Bytes { get }
}

extension BytesConvertible where Self: Sequence<UInt8> {
    /// The elements.
    @inlinable
    public var asBytes: Bytes { Bytes(self) }
}

extension BytesConvertible where Self: StringProtocol {
    /// The UTF-8.
    @inlinable
    public var asBytes: Bytes { Bytes(self) }
}

extension Bytes: BytesConvertible {
    /// Itself.
    @inlinable
    public var asBytes: Bytes { self }
}

extension [UInt8]: BytesConvertible {
    /// Itself.
    @inlinable
    public var asBytes: Bytes { Bytes(self) }
}

extension ArraySlice<UInt8>: BytesConvertible {}
extension String: BytesConvertible {}
extension Substring: BytesConvertible {}
