// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "embedded",
    dependencies: [.package(name: "atlas-db", path: "../..")],
    targets: [.executableTarget(name: "embedded", dependencies: [.product(name: "AtlasDB", package: "atlas-db")])]
)
