// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "batch",
    dependencies: [.package(name: "atlas-db", path: "../..")],
    targets: [.executableTarget(name: "batch", dependencies: [.product(name: "AtlasClient", package: "atlas-db")])]
)
