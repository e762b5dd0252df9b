// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who uses Atlas DB fetches or builds a benchmark.
//
// What is measured is internal (`package` access), which ends at a package's border. So the modules are compiled here a
// second time, from the same files: `Sources/` holds links to the ones of the root package.

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "atlas-db-benchmarks",
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        // Without its interposers: allocations are counted by CAllocations.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .systemLibrary(name: "CRocksDB"),
        .systemLibrary(name: "CXXHash"),
        .target(name: "AtlasTypes", swiftSettings: settings),
        .target(
            name: "AtlasCore",
            dependencies: ["AtlasTypes", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: settings
        ),
        .target(name: "AtlasChecker", dependencies: ["AtlasTypes"], swiftSettings: settings),
        .target(
            name: "AtlasSimulator",
            dependencies: [
                "AtlasChecker", "AtlasCore", "AtlasTypes",
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: settings
        ),
        .target(name: "AtlasLog", dependencies: ["AtlasCore", "AtlasTypes", "CXXHash"], swiftSettings: settings),
        .target(name: "AtlasRocksDB", dependencies: ["AtlasCore", "AtlasTypes", "CRocksDB"], swiftSettings: settings),
        .target(
            name: "AtlasWire",
            dependencies: [
                "AtlasTypes",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "AtlasRPC",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHPACK", package: "swift-nio-http2"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "MakeLog",
            dependencies: ["AtlasCore", "AtlasLog", "AtlasTypes"],
            swiftSettings: settings
        ),
        .target(name: "CAllocations"),
        .executableTarget(
            name: "Micro",
            dependencies: [
                "AtlasCore", "AtlasLog", "AtlasRPC", "AtlasRocksDB", "AtlasSimulator", "AtlasTypes", "AtlasWire",
                "CAllocations",
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            path: "Benchmarks/Micro",
            swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        ),
    ]
)
