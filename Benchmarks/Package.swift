// swift-tools-version: 6.3
import PackageDescription

// A separate package, so that users of Holdfast do not get the benchmark harness.
let package = Package(
  name: "holdfast-benchmarks",
  dependencies: [
    .package(name: "holdfast", path: ".."),
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "CoreBenchmarks",
      dependencies: [
        .product(name: "HoldfastCore", package: "holdfast"),
        .product(name: "Benchmark", package: "benchmark"),
      ],
      path: "Core",
      swiftSettings: [.swiftLanguageMode(.v6)],
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
  ]
)
