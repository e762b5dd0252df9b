// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let configuration = product(name: "Configuration", package: "swift-configuration")
    static let deques = product(name: "DequeModule", package: "swift-collections")
    static let heaps = product(name: "HeapModule", package: "swift-collections")
    static let histogram = product(name: "Histogram", package: "hdrhistogram-swift")
    static let lifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let locks = product(name: "NIOConcurrencyHelpers", package: "swift-nio")
    static let logging = product(name: "Logging", package: "swift-log")
    static let nio = product(name: "NIOCore", package: "swift-nio")
    static let http2 = product(name: "NIOHTTP2", package: "swift-nio-http2")
    static let hpack = product(name: "NIOHPACK", package: "swift-nio-http2")
    static let posix = product(name: "NIOPosix", package: "swift-nio")
    static let protobuf = product(name: "SwiftProtobuf", package: "swift-protobuf")
    static let signals = product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let yams = product(name: "Yams", package: "Yams")
}

/// A module, the modules that it uses, and what it uses of other packages.
func module(
    _ name: String,
    _ modules: [String] = [],
    _ products: [Target.Dependency] = [],
    settings: [SwiftSetting] = []
) -> Target {
    .target(name: name, dependencies: modules.map { .byName(name: $0) } + products, swiftSettings: strict + settings)
}

func program(_ name: String, _ modules: [String], _ products: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: modules.map { .byName(name: $0) } + products, swiftSettings: strict)
}

/// The tests of a module.
func tests(
    _ name: String,
    _ modules: [String] = [],
    _ products: [Target.Dependency] = [],
    exclude: [String] = []
) -> Target {
    .testTarget(
        name: name,
        dependencies: modules.map { .byName(name: $0) } + products,
        exclude: exclude,
        swiftSettings: strict
    )
}

/// What the caller's actor calls runs there, as users of a library expect.
let forUsers: [SwiftSetting] = [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

// A module uses only those above it; Tests/HouseTests reads this list.
let package = Package(
    name: "atlas-db",
    products: [
        .library(name: "AtlasDB", targets: ["AtlasDB"]),
        .library(name: "AtlasClient", targets: ["AtlasClient"]),
        .executable(name: "atlas-db", targets: ["atlas-db"]),
        .executable(name: "atlas-sim", targets: ["atlas-sim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CRocksDB", providers: [.apt(["librocksdb-dev"])]),
        .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
        module("AtlasTypes"),
        module("AtlasCore", ["AtlasTypes"], [.deques]),
        module("AtlasChecker", ["AtlasTypes"]),
        module("AtlasSimulator", ["AtlasChecker", "AtlasCore", "AtlasTypes"], [.heaps]),
        module("AtlasLog", ["AtlasCore", "AtlasTypes", "CXXHash"]),
        module("AtlasRocksDB", ["AtlasCore", "AtlasTypes", "CRocksDB"]),
        module("AtlasRelay", ["AtlasTypes"], [.nio, .posix]),
        module("AtlasWire", ["AtlasTypes"], [.nio, .protobuf]),
        module("AtlasRPC", [], [.nio, .posix, .http2, .hpack]),
        module("AtlasConfiguration", ["AtlasCore", "AtlasTypes"], [.configuration, .logging, .yams]),
        module(
            "AtlasNode",
            ["AtlasConfiguration", "AtlasCore", "AtlasLog", "AtlasRPC", "AtlasRocksDB", "AtlasTypes"],
            [.locks, .logging, .nio, .posix]
        ),
        module(
            "AtlasServices",
            [
                "AtlasConfiguration", "AtlasCore", "AtlasLog", "AtlasNode", "AtlasRPC", "AtlasRocksDB", "AtlasTypes",
                "AtlasWire",
            ],
            [.histogram, .locks, .nio, .posix, .protobuf]
        ),
        module(
            "AtlasServer",
            ["AtlasConfiguration", "AtlasNode", "AtlasRPC", "AtlasRocksDB", "AtlasServices", "AtlasTypes"],
            [.lifecycle, .locks, .logging, .nio, .posix]
        ),
        module(
            "AtlasClient",
            ["AtlasRPC", "AtlasTypes", "AtlasWire"],
            [.locks, .nio, .posix, .protobuf],
            settings: forUsers
        ),
        module(
            "AtlasDB",
            ["AtlasClient", "AtlasConfiguration", "AtlasNode", "AtlasServices", "AtlasTypes", "AtlasWire"],
            [.locks, .logging, .posix],
            settings: forUsers
        ),
        module(
            "AtlasConsole",
            ["AtlasClient", "AtlasConfiguration", "AtlasNode", "AtlasTypes"],
            [.argumentParser, .logging, .posix]
        ),
        module(
            "AtlasOperations",
            ["AtlasClient", "AtlasCore", "AtlasTypes", "AtlasWire"],
            [.protobuf]
        ),
        module(
            "AtlasBench",
            ["AtlasClient", "AtlasCore", "AtlasTypes"],
            [.histogram, .locks]
        ),
        module(
            "AtlasDemo",
            [
                "AtlasClient", "AtlasConsole", "AtlasCore", "AtlasNode", "AtlasRelay", "AtlasTypes", "AtlasWire",
                "CLinux",
            ],
            [.locks, .nio, .posix, .protobuf]
        ),
        program("atlas-sim", ["AtlasCore", "AtlasSimulator"], [.argumentParser]),
        program(
            "atlas-db",
            [
                "AtlasBench", "AtlasClient", "AtlasConfiguration", "AtlasConsole", "AtlasDB", "AtlasDemo", "AtlasLog",
                "AtlasNode", "AtlasOperations", "AtlasRelay", "AtlasServer", "AtlasTypes", "AtlasWire", "CLinux",
            ],
            [.argumentParser, .histogram, .lifecycle, .logging, .nio, .posix, .protobuf, .signals]
        ),
        // Of the tests.
        .target(
            name: "AtlasTestSupport",
            dependencies: [
                "AtlasConfiguration", "AtlasCore", "AtlasNode", "AtlasRocksDB", "AtlasTypes", .locks, .logging, .posix,
            ],
            path: "Tests/AtlasTestSupport",
            swiftSettings: strict
        ),
        tests("AtlasTypesTests", ["AtlasTypes"]),
        tests("AtlasCoreTests", ["AtlasCore", "AtlasSimulator", "AtlasTypes"], exclude: ["Scripts"]),
        tests("AtlasCheckerTests", ["AtlasChecker"]),
        tests("AtlasSimulatorTests", ["AtlasChecker", "AtlasCore", "AtlasSimulator", "AtlasTypes"]),
        tests("AtlasLogTests", ["AtlasCore", "AtlasLog", "AtlasTestSupport", "AtlasTypes"]),
        tests(
            "AtlasRocksDBTests",
            ["AtlasCore", "AtlasRocksDB", "AtlasSimulator", "AtlasTestSupport", "AtlasTypes", "CRocksDB"]
        ),
        tests("AtlasWireTests", ["AtlasTypes", "AtlasWire"], [.nio, .protobuf]),
        tests("AtlasRPCTests", ["AtlasRPC"], [.locks, .nio, .posix, .http2, .hpack]),
        tests("AtlasRelayTests", ["AtlasRelay", "AtlasTypes"], [.locks, .nio, .posix]),
        tests(
            "AtlasConfigurationTests",
            ["AtlasConfiguration", "AtlasCore", "AtlasNode", "AtlasTestSupport", "AtlasTypes"],
            [.logging]
        ),
        tests(
            "AtlasNodeTests",
            [
                "AtlasConfiguration", "AtlasCore", "AtlasNode", "AtlasRPC", "AtlasRocksDB", "AtlasTestSupport",
                "AtlasTypes",
            ],
            [.locks, .logging, .nio, .posix]
        ),
        tests(
            "AtlasServicesTests",
            [
                "AtlasConfiguration", "AtlasCore", "AtlasLog", "AtlasNode", "AtlasRocksDB", "AtlasServices",
                "AtlasTestSupport", "AtlasTypes", "AtlasWire",
            ],
            [.logging, .nio, .posix]
        ),
        tests(
            "AtlasServerTests",
            [
                "AtlasConfiguration", "AtlasCore", "AtlasNode", "AtlasRPC", "AtlasServer", "AtlasServices",
                "AtlasTestSupport", "AtlasTypes", "AtlasWire",
            ],
            [.locks, .logging, .nio, .posix]
        ),
        tests("AtlasClientTests", ["AtlasClient", "AtlasRPC", "AtlasTypes", "AtlasWire"], [.nio, .posix]),
        tests(
            "AtlasDBTests",
            [
                "AtlasClient", "AtlasConfiguration", "AtlasDB", "AtlasServer", "AtlasTestSupport", "AtlasTypes",
                "AtlasWire",
            ],
            [.logging, .nio]
        ),
        tests(
            "CommandLineTests",
            [
                "AtlasBench", "AtlasClient", "AtlasConsole", "AtlasDemo", "AtlasOperations", "AtlasRPC",
                "AtlasTestSupport", "AtlasTypes", "AtlasWire", "atlas-db",
            ],
            [.protobuf]
        ),
        tests("HouseTests"),
    ]
)
