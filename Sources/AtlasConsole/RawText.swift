internal import Foundation
internal import Glibc
internal import AtlasTypes

/// Text that keeps the bytes that it was made of, though they need not be UTF-8: arguments are bytes, and the parser of the
/// command line wants text. What is no UTF-8 stands in the text as scalars that nothing else uses, one for each byte.
package enum RawText {
    /// With the byte added; what is there in UTF-8 is taken byte by byte too, so that every text can be turned back.
    private static let base: UInt32 = 0x10FF00
    private static let stray: ClosedRange<UInt32> = base + 0x80...base + 0xFF

    package static func text(_ bytes: some Collection<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        var rest = Array(bytes)[...]
        while let first = rest.first {
            if let scalar = BytesText.decodeScalar(rest), !stray.contains(scalar.value) {
                text.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                text.append(Unicode.Scalar(base + UInt32(first))!)
                rest = rest.dropFirst()
            }
        }
        return String(text)
    }

    package static func bytes(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if stray.contains(scalar.value) {
                bytes.append(UInt8(scalar.value - base))
            } else {
                bytes += UTF8.encode(scalar)!
            }
        }
        return bytes
    }

    /// A path as the system takes it.
    package static func path(_ text: String) -> [CChar] {
        bytes(text).map { CChar(bitPattern: $0) } + [0]
    }

    /// For a message: `\xe9` for what is no UTF-8.
    package static func shown(_ text: String) -> String {
        guard isStray(text) else { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if stray.contains(scalar.value) {
                shown += ("\\x" + Hex.text(CollectionOfOne(UInt8(scalar.value - base)))).unicodeScalars
            } else {
                shown.append(scalar)
            }
        }
        return String(shown)
    }

    /// Whether the text was made of bytes that are not all UTF-8.
    package static func isStray(_ text: String) -> Bool {
        text.unicodeScalars.contains { stray.contains($0.value) }
    }

    /// The variables of the process that begin like this.
    package static func environment(prefix: String) -> [String: String] {
        var variables = ProcessInfo.processInfo.environment.filter { $0.key.hasPrefix(prefix) }
        for name in variables.keys {
            guard let value = getenv(name) else { continue }
            variables[name] = text(UnsafeRawBufferPointer(start: value, count: strlen(value)))
        }
        return variables
    }

    /// The arguments of the process without its name; `nil` if the system does not tell them.
    package static var arguments: [String]? {
        let count = Int(CommandLine.argc)
        guard count > 0 else { return nil }
        return UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: count).dropFirst().compactMap { argument in
            argument.map { text(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
        }
    }
}
