// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "basic-client",
    dependencies: [.package(name: "atlas-db", path: "../..")],
    targets: [
        .executableTarget(name: "basic-client", dependencies: [.product(name: "AtlasClient", package: "atlas-db")])
    ]
)
