internal import Glibc

/// What this process takes of the machine's memory.
package struct ProcessMemory: Sendable {
    package var residentBytes: UInt64 = 0
    package var residentPeakBytes: UInt64 = 0

    /// Zero where the system does not say.
    package static func current() -> ProcessMemory {
        var memory = ProcessMemory()
        guard let file = fopen("/proc/self/status", "re") else { return memory }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
                whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 2, let kibibytes = UInt64(words[1]) else { continue }
            if words[0] == "VmRSS:" { memory.residentBytes = kibibytes << 10 }
            if words[0] == "VmHWM:" { memory.residentPeakBytes = kibibytes << 10 }
        }
        return memory
    }
}
