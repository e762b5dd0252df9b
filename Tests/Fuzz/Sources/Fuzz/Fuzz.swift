import CFuzzer

// Fuzz targets
// Fuzz seeds TARGET DIRECTORY
// Fuzz TARGET [what libFuzzer takes: directories, files, -options]
@main enum Fuzz {
    static let target = Target.named(CommandLine.arguments[1])

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 1, arguments[1] != "targets" else {
            return print(Target.all.map(\.name).joined(separator: " "))
        }
        if arguments.count == 4, arguments[1] == "seeds" {
            return try Target.named(arguments[2]).writeSeeds(to: arguments[3])
        }
        var count = CommandLine.argc - 1
        var rest: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
        _ = LLVMFuzzerRunDriver(&count, &rest) { bytes, count in
            Fuzz.target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
            return 0
        }
    }
}
