// swift-tools-version: 6.3
import Foundation
import PackageDescription

/// Settings of every library and executable target.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

/// Tests go without strict memory safety: C calls inside `@Test(.enabled(if:))` fail with it.
let testSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
  name: "holdfast",
  products: [
    // For authors of monitors: guest memory, and all types that its calls need.
    .library(name: "Holdfast", targets: ["Holdfast"]),
    // For monitors that use KVM, with `Holdfast`: virtual machines, processors, guest programs.
    .library(name: "HoldfastKVM", targets: ["HoldfastKVM"]),
    // For monitors that lease ready memory, with `Holdfast`: the reservoir.
    .library(name: "HoldfastReservoir", targets: ["HoldfastReservoir"]),
    // For work on virtual memory itself: address spaces, memory objects, the frame allocator.
    .library(name: "HoldfastCore", targets: ["HoldfastCore"]),
    // For the same on real memory, as Benchmarks do: arenas as frame stores, windows, userfaultfd.
    .library(name: "HoldfastLinux", targets: ["HoldfastLinux"]),
    .executable(name: "holdfast", targets: ["HoldfastProgram"]),
    // libholdfast for C and Rust, which Scripts/link-library links from this product's objects.
    .library(name: "holdfast-c", type: .dynamic, targets: ["HoldfastABI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .target(name: "HoldfastCore", swiftSettings: settings),
    .target(name: "CHoldfastLinux", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "HoldfastLinux",
      dependencies: ["HoldfastCore", "CHoldfastLinux", systemPackage],
      swiftSettings: settings),
    .target(
      name: "HoldfastTemplate",
      dependencies: ["HoldfastCore", "HoldfastLinux", systemPackage],
      swiftSettings: settings),
    .target(
      name: "Holdfast", dependencies: ["HoldfastCore", "HoldfastLinux", "HoldfastTemplate"],
      swiftSettings: settings),
    .target(name: "CHoldfastKVM", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "HoldfastKVM",
      dependencies: ["CHoldfastKVM", "Holdfast", "HoldfastCore", "HoldfastLinux", systemPackage],
      swiftSettings: settings),
    .target(
      name: "HoldfastReservoir",
      dependencies: ["HoldfastCore", "HoldfastLinux", systemPackage],
      swiftSettings: settings),
    .target(
      name: "HoldfastService",
      dependencies: [
        "CHoldfastLinux", "HoldfastCore", "HoldfastLinux", "HoldfastMonitor", "HoldfastPlot",
        "HoldfastReservoir", "HoldfastTemplate", logging, systemPackage,
      ],
      swiftSettings: settings),
    .target(name: "CHoldfast", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "HoldfastABI",
      dependencies: [
        "CHoldfast", "Holdfast", "HoldfastCore", "HoldfastLinux", "HoldfastReservoir",
      ],
      swiftSettings: settings),
    .target(
      name: "HoldfastMonitor",
      dependencies: [
        "HoldfastCore", "HoldfastLinux", "HoldfastReservoir", "HoldfastTemplate", systemPackage,
      ],
      swiftSettings: settings),
    .target(name: "HoldfastStatistics", swiftSettings: settings),
    .target(name: "HoldfastPlot", swiftSettings: settings),
    .target(name: "CHoldfastBench", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "HoldfastBench",
      dependencies: [
        "CHoldfastBench", "Holdfast", "HoldfastCore", "HoldfastKVM", "HoldfastLinux",
        "HoldfastPlot", "HoldfastReservoir", "HoldfastStatistics", "HoldfastTemplate",
        systemPackage,
      ],
      swiftSettings: settings),
    .target(
      name: "HoldfastSimulation", dependencies: ["HoldfastCore", "HoldfastPlot"],
      swiftSettings: settings),
    .target(
      name: "HoldfastTestKit",
      dependencies: ["HoldfastCore", "HoldfastLinux"],
      swiftSettings: settings),
    .testTarget(
      name: "HoldfastCoreTests",
      dependencies: ["HoldfastCore", "HoldfastTestKit"],
      swiftSettings: testSettings),
    // Random operations against models and against each other.
    .testTarget(
      name: "HoldfastModelTests",
      dependencies: ["HoldfastCore", "HoldfastTestKit"],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastLinuxTests",
      dependencies: ["CHoldfastLinux", "HoldfastLinux", "HoldfastTestKit"],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastTests",
      dependencies: ["Holdfast", "HoldfastTemplate", "HoldfastTestKit"],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastKVMTests",
      dependencies: [
        "CHoldfastLinux", "Holdfast", "HoldfastCore", "HoldfastKVM", "HoldfastLinux",
        "HoldfastTemplate", "HoldfastTestKit",
      ],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastReservoirTests",
      dependencies: [
        "Holdfast", "HoldfastReservoir", "HoldfastCore", "HoldfastLinux", "HoldfastTestKit",
      ],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastServiceTests",
      dependencies: [
        "HoldfastService", "HoldfastReservoir", "HoldfastCore", "HoldfastLinux",
        "HoldfastMonitor", "HoldfastTemplate", "HoldfastTestKit", logging,
      ],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastTemplateTests",
      dependencies: ["HoldfastCore", "HoldfastLinux", "HoldfastTemplate", "HoldfastTestKit"],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastMonitorTests",
      dependencies: [
        "HoldfastCore", "HoldfastLinux", "HoldfastMonitor", "HoldfastTestKit", systemPackage,
      ],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastStatisticsTests",
      dependencies: ["HoldfastStatistics"],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastPlotTests",
      dependencies: ["HoldfastPlot", "HoldfastTestKit"],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastBenchTests",
      dependencies: [
        "Holdfast", "HoldfastBench", "HoldfastCore", "HoldfastLinux", "HoldfastPlot",
        "HoldfastStatistics", "HoldfastTestKit", systemPackage,
      ],
      swiftSettings: testSettings),
    .testTarget(
      name: "HoldfastSimulationTests",
      dependencies: ["HoldfastSimulation", "HoldfastCore", "HoldfastPlot", "HoldfastTestKit"],
      swiftSettings: testSettings),
    .target(
      name: "HoldfastCLI",
      dependencies: [
        "CHoldfastLinux", "Holdfast", "HoldfastBench", "HoldfastCore", "HoldfastKVM",
        "HoldfastLinux", "HoldfastMonitor", "HoldfastReservoir", "HoldfastService",
        "HoldfastSimulation", "HoldfastStatistics", "HoldfastTemplate",
        argumentParser, logging,
        systemPackage,
      ],
      swiftSettings: settings),
    // Only main(): C passes the arguments as they are, also without /proc.
    .executableTarget(
      name: "HoldfastProgram", dependencies: ["HoldfastCLI"], cSettings: [.define("_GNU_SOURCE")]),
    .testTarget(
      name: "HoldfastCLITests",
      dependencies: [
        "HoldfastCLI", "HoldfastCore", "HoldfastLinux", "HoldfastReservoir", "HoldfastSimulation",
        "HoldfastTestKit",
      ],
      swiftSettings: testSettings),
  ]
)

// Four variables for the builds of CI and the Makefile, which users do not set.

/// HOLDFAST_BENCHMARKS=1: the benchmarks of the VM layer alone, with a harness that users of the
/// package should not get.
if Context.environment["HOLDFAST_BENCHMARKS"] == "1" {
  package.dependencies.append(
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []))
  package.targets.append(
    .executableTarget(
      name: "CoreBenchmarks",
      dependencies: ["HoldfastCore", .product(name: "Benchmark", package: "benchmark")],
      path: "Benchmarks/Core",
      swiftSettings: [.swiftLanguageMode(.v6)],
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]))
}

/// HOLDFAST_TESTS="HoldfastCoreTests …": only these targets, and the targets that they need.
/// ThreadSanitizer has a separate build tree, which need not have everything.
if let names = Context.environment["HOLDFAST_TESTS"]?.split(separator: " ").map(String.init) {
  var needed: Set<String> = []
  // The tests of the commands run the program.
  var left = names + (names.contains("HoldfastCLITests") ? ["HoldfastProgram"] : [])
  while let name = left.popLast() {
    guard needed.insert(name).inserted else { continue }
    for case .byNameItem(let dependency, _) in package.targets.first(where: { $0.name == name })?
      .dependencies ?? []
    {
      left.append(dependency)
    }
  }
  package.targets.removeAll { !needed.contains($0.name) }
  package.products.removeAll {
    let targets = ($0 as? Product.Library)?.targets ?? ($0 as? Product.Executable)?.targets ?? []
    return !needed.isSuperset(of: targets)
  }
}

/// HOLDFAST_SUITES="WaitingTests …": of the tests only these suites, each of which has a file of
/// its name, and the files that are not a suite's; the name of a target stands for all of its
/// suites.
if let suites = Context.environment["HOLDFAST_SUITES"]?.split(separator: " ").map(String.init) {
  for target in package.targets where target.type == .test && !suites.contains(target.name) {
    let folder = "\(Context.packageDirectory)/Tests/\(target.name)"
    let files = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
    target.exclude += files.filter { file in
      guard file.hasSuffix("Tests.swift"), let name = file.split(separator: "/").last else {
        return false
      }
      return !suites.contains { "\($0).swift" == name }
    }
  }
}

/// HOLDFAST_TESTABLE=1: the release build allows `@testable import`, so that one build tree serves
/// the tests and the program, as `make test` and CI use it. With -enable-testing other modules may
/// use and subclass internal types, so the compiler removes and specializes less: the program is 7 %
/// larger, and `holdfast simulate` takes 4 % more processor time. Programs that are shipped or
/// measured are built without it. Optimizing the tests themselves would take longer than it saves,
/// but for those that compare with models.
if Context.environment["HOLDFAST_TESTABLE"] != nil {
  for target in package.targets {
    let isPlain = target.type == .test && target.name != "HoldfastModelTests"
    target.swiftSettings =
      (target.swiftSettings ?? []) + [
        .unsafeFlags(
          ["-enable-testing"] + (isPlain ? ["-Onone"] : []), .when(configuration: .release))
      ]
  }
}
