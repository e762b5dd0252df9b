extension Rule {
    /// Clocks, concurrency and randomness of the system. Time and randomness come into the core as arguments.
    static let pureWords = Rule(
        name: "AtlasTypes, AtlasCore and AtlasChecker use no clock, thread, lock or async function",
        violations: { file in
            guard file.isSwift, let module = file.module, Modules.pure.contains(module) else { return [] }
            return words(of: file.code)
                .filter { worldly.contains($0.word) || $0.word.hasPrefix("pthread_") }
                .map { Violation(path: file.path, line: $0.line, what: "\(module) must not use \($0.word)") }
        },
        badSamples: [
            "let now = Date()", "let c = ContinuousClock.now", "func f() async {}",
            "var g = SystemRandomNumberGenerator()",
            "let m = Mutex(0)", "Task { }", "actor A {}", "pthread_mutex_lock(&m)", "clock_gettime(CLOCK_REALTIME, &t)",
            "let a = Atomic<Int>(0)", "Thread.sleep(forTimeInterval: 1)", "let lock = NSLock()",
        ].map { Sample("Sources/AtlasCore/A.swift", "// why\n\($0)\n") } + [
            Sample("Sources/AtlasChecker/A.swift", "let s = SuspendingClock()")
        ],
        goodSamples: [
            Sample("Sources/AtlasCore/A.swift", "/// Not async; Date and Task are for the shell.\nlet dateline = 1"),
            Sample("Sources/AtlasServer/A.swift", "func f() async {}"),
        ]
    )

    private static let worldly: Set<Substring> = [
        "Date", "DispatchTime", "ContinuousClock", "SuspendingClock", "clock_gettime", "gettimeofday", "time_t",
        "async", "await", "actor", "Task", "TaskGroup", "AsyncStream", "DispatchQueue", "OperationQueue",
        "Thread", "Mutex", "NSLock", "NIOLock", "NIOLockedValueBox", "Atomic", "ManagedAtomic", "UnsafeAtomic",
        "SystemRandomNumberGenerator", "arc4random", "getrandom",
    ]

    /// Identifiers and keywords, with the lines that they stand on.
    private static func words(of code: String) -> [(word: Substring, line: Int)] {
        code.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { index, line in
            line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map { ($0, index + 1) }
        }
    }

    /// `random`, `shuffled` and their like take the system's randomness unless they are given a generator.
    static let unseededRandomness = Rule(
        name: "AtlasTypes, AtlasCore, AtlasChecker and AtlasSimulator use no randomness without a seed",
        violations: { file in
            let seeded = Modules.pure.union(["AtlasSimulator", "atlas-sim"])
            guard file.isSwift, let module = file.module, seeded.contains(module) else { return [] }
            let code = file.code
            return drawing.flatMap { code.ranges(of: $0) }
                .filter { !arguments(from: $0.upperBound, in: code).contains("using:") }
                .map {
                    let line = SourceFile.line(of: $0.lowerBound, in: code)
                    return Violation(path: file.path, line: line, what: "\(code[$0]) … ) without `using:`")
                }
        },
        badSamples: [
            "let n = Int.random(in: 0..<4)", "let b = Bool.random()", "list.shuffle()", "let l = list.shuffled( )",
            "let e = list.randomElement()", "let n = Int.random(\n    in: f(using: &g)..<4\n)",
        ].map { Sample("Sources/AtlasCore/A.swift", $0) } + [
            Sample("Sources/AtlasSimulator/A.swift", "let n = Int.random(in: 0..<4)")
        ],
        goodSamples: [
            Sample("Sources/AtlasCore/A.swift", "let n = Int.random(\n    in: low()..<4,\n    using: &generator\n)"),
            Sample("Sources/AtlasServer/A.swift", "let n = Int.random(in: 0..<4)"),
        ]
    )

    private static let drawing = [".random(", ".shuffle(", ".shuffled(", ".randomElement("]

    /// The arguments of a call, without those of calls inside them.
    private static func arguments(from start: String.Index, in code: String) -> String {
        var depth = 1
        var own = ""
        for character in code[start...] {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if depth == 0 { break }
            if depth == 1 { own.append(character) }
        }
        return own
    }
}
