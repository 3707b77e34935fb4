// swift-tools-version: 6.3
import PackageDescription

/// As in the main package.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let testSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let posix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let locks = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let http1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let http = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let reservoir = Target.Dependency.product(name: "HoldfastReservoir", package: "holdfast")
let core = Target.Dependency.product(name: "HoldfastCore", package: "holdfast")

// A separate package, so that neither the program nor the library gets SwiftNIO.
let package = Package(
  name: "holdfast-kubernetes",
  products: [
    .executable(name: "holdfast-kubernetes", targets: ["HoldfastKubernetes"])
  ],
  dependencies: [
    .package(name: "holdfast", path: ".."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
  ],
  targets: [
    // The protocol's messages. It depends on nothing.
    .target(name: "DevicePluginWire", swiftSettings: settings),
    // gRPC at Unix sockets. It knows no protocol.
    .target(name: "LocalRPC", dependencies: [nio, posix, http], swiftSettings: settings),
    // Texts over HTTP/1.1, for metrics.
    .target(name: "PlainHTTP", dependencies: [nio, posix, locks, http1], swiftSettings: settings),
    .target(name: "CThreadUser", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "ReadyMemoryPlugin",
      dependencies: [
        "CThreadUser", "DevicePluginWire", "LocalRPC", "PlainHTTP", nio, posix, locks, reservoir,
        core,
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "HoldfastKubernetes", dependencies: ["PlainHTTP", "ReadyMemoryPlugin", nio, posix],
      swiftSettings: settings),
    .testTarget(
      name: "DevicePluginWireTests", dependencies: ["DevicePluginWire"],
      swiftSettings: testSettings),
    .testTarget(
      name: "LocalRPCTests", dependencies: ["LocalRPC", nio, posix, http],
      swiftSettings: testSettings),
    .testTarget(
      name: "PlainHTTPTests", dependencies: ["PlainHTTP", nio, posix],
      swiftSettings: testSettings),
    .testTarget(
      name: "ReadyMemoryPluginTests",
      dependencies: ["ReadyMemoryPlugin", "DevicePluginWire", "PlainHTTP", reservoir, core],
      swiftSettings: testSettings),
  ]
)
