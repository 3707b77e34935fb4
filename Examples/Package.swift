// swift-tools-version: 6.3
import PackageDescription

// A separate package, as a user's is: it depends only on Holdfast's products. `make examples`
// builds and runs everything here.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let holdfast = Target.Dependency.product(name: "Holdfast", package: "holdfast")
let kvm = Target.Dependency.product(name: "HoldfastKVM", package: "holdfast")
let reservoir = Target.Dependency.product(name: "HoldfastReservoir", package: "holdfast")

let package = Package(
  name: "holdfast-examples",
  dependencies: [.package(name: "holdfast", path: "..")],
  targets: [
    // What the examples share: how they end.
    .target(
      name: "ExampleSupport", dependencies: [holdfast], path: "Support", swiftSettings: settings),
    .executableTarget(
      name: "WireGuest", dependencies: ["ExampleSupport", holdfast], path: "WireGuest",
      swiftSettings: settings),
    .executableTarget(
      name: "PageAndFork", dependencies: ["ExampleSupport", holdfast], path: "PageAndFork",
      swiftSettings: settings),
    .executableTarget(
      name: "Snapshot", dependencies: ["ExampleSupport", holdfast], path: "Snapshot",
      swiftSettings: settings),
    .executableTarget(
      name: "LeaseFromReservoir", dependencies: ["ExampleSupport", holdfast, reservoir],
      path: "LeaseFromReservoir", swiftSettings: settings),
    .executableTarget(
      name: "MinimalMonitor", dependencies: ["ExampleSupport", holdfast, kvm],
      path: "MinimalMonitor", swiftSettings: settings),
    // The Swift of README.md and docs/library.md, which Scripts/snippets extracts. Compiled, not
    // run.
    .target(
      name: "DocumentSnippets", dependencies: [holdfast, kvm, reservoir], path: "DocumentSnippets",
      swiftSettings: settings),
  ]
)
