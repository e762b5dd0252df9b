import Foundation

/// Something that takes bytes from outside.
struct Target: Sendable {
    let name: String
    /// Takes any bytes. What it must not do ends the process.
    let run: @Sendable ([UInt8]) -> Void
    /// Inputs from which to begin.
    let seeds: @Sendable () -> [[UInt8]]

    init(_ name: String, seeds: @escaping @Sendable () -> [[UInt8]], run: @escaping @Sendable ([UInt8]) -> Void) {
        self.name = name
        self.seeds = seeds
        self.run = run
    }

    static let all: [Target] = [
        .bodies, .peers, .recovery, .segment, .rows, .messages, .framing, .headers, .text, .settings,
    ]

    static func named(_ name: String) -> Target {
        guard let target = all.first(where: { $0.name == name }) else { fatalError("no target \(name)") }
        return target
    }

    func writeSeeds(to directory: String) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (number, seed) in seeds().enumerated() {
            try Data(seed).write(to: URL(filePath: "\(directory)/seed-\(number)"))
        }
    }
}

/// Says what is wrong and ends the process, also in a release build.
func require(_ condition: Bool, _ what: @autoclosure () -> String) {
    guard condition else { fatalError(what()) }
}
