// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because its modules are compiled for libFuzzer: from the same files, through the links in
// `Sources/`. `scripts/fuzz.sh` builds and runs it.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// For the modules alone: what happens in their dependencies does not count as coverage.
let sanitizer = Context.environment["ASAN"] == nil ? "-sanitize=fuzzer" : "-sanitize=fuzzer,address"
/// The decoders are internal.
let fuzzed: [SwiftSetting] = settings + [.unsafeFlags([sanitizer, "-enable-testing"])]

let package = Package(
    name: "atlas-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        .systemLibrary(name: "CRocksDB"),
        .systemLibrary(name: "CXXHash"),
        .systemLibrary(name: "CFuzzer"),
        .target(name: "AtlasTypes", swiftSettings: fuzzed),
        .target(
            name: "AtlasCore",
            dependencies: ["AtlasTypes", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: fuzzed
        ),
        .target(name: "AtlasLog", dependencies: ["AtlasCore", "AtlasTypes", "CXXHash"], swiftSettings: fuzzed),
        .target(name: "AtlasRocksDB", dependencies: ["AtlasCore", "AtlasTypes", "CRocksDB"], swiftSettings: fuzzed),
        .target(
            name: "AtlasWire",
            dependencies: [
                "AtlasTypes",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: fuzzed
        ),
        .target(
            name: "AtlasRPC",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
            ],
            swiftSettings: fuzzed
        ),
        .target(
            name: "AtlasConfiguration",
            dependencies: [
                "AtlasCore", "AtlasTypes",
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: fuzzed
        ),
        .target(
            name: "AtlasNode",
            dependencies: [
                "AtlasConfiguration", "AtlasCore", "AtlasLog", "AtlasRPC", "AtlasRocksDB", "AtlasTypes",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: fuzzed
        ),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "AtlasConfiguration", "AtlasCore", "AtlasLog", "AtlasNode", "AtlasRPC", "AtlasRocksDB", "AtlasTypes",
                "AtlasWire", "CFuzzer",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings,
            linkerSettings: [.unsafeFlags([sanitizer, "-use-ld=lld"])]
        ),
    ]
)
