import Benchmark
import CFaults
import Holdfast
import HoldfastCore
import HoldfastLinux

/// The time of a guest's access to an absent page, with Holdfast and with a handler in C, in turns
/// in one run. Both map frames that are resident and zero, in the same kind of file.
private struct FaultComparison: ~Copyable {
  static let size = ByteCount.mebibytes(128)
  static let page = ByteCount.mebibytes(2)

  private let arena: Arena
  private let file: Int32

  init?() {
    let backings: [Backing] = [.hugetlb2M, .thp, .base]
    for backing in backings {
      let file = cfaults_open(Int(Self.size.rawValue), backing == .hugetlb2M ? 1 : 0)
      if file < 0 { continue }
      if let arena = try? Arena(size: Self.size, backing: backing) {
        self.arena = arena
        self.file = file
        return
      }
      cfaults_close(file)
    }
    return nil
  }

  deinit { cfaults_close(file) }

  static func median(
    of size: ByteCount = size, _ body: (UnsafeMutablePointer<UInt64>) -> Void
  ) -> UInt64 {
    var touches = [UInt64](repeating: 0, count: Int(size.rawValue / page.rawValue))
    touches.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    return touches.sorted()[touches.count / 2]
  }

  /// The median nanoseconds of an access that Holdfast serves. Leaves the frames dirty.
  func holdfast() throws -> UInt64 {
    let guest = try GuestMemory(arena: arena, limit: Self.size, demandPaging: DemandPaging())
    let ram = try guest.allocateSegment("ram", size: Self.size)
    try guest.map(ram, at: .zero)
    return Self.median {
      cfaults_touch(guest.hostAddress, Int(Self.size.rawValue), Int(Self.page.rawValue), $0)
    }
  }

  /// The same with the handler in C.
  func c() -> UInt64 {
    Self.median {
      let status = cfaults_run(file, Int(Self.size.rawValue), Int(Self.page.rawValue), $0)
      precondition(status == 0, "the handler in C fails with errno \(-status)")
    }
  }
}

let benchmarks: @Sendable () -> Void = {
  let ours = BenchmarkMetric.custom(
    "Holdfast (ns)", polarity: .prefersSmaller, useScalingFactor: false)
  let floor = BenchmarkMetric.custom("C (ns)", polarity: .prefersSmaller, useScalingFactor: false)
  let ratio = BenchmarkMetric.custom(
    "Holdfast / C (%)", polarity: .prefersSmaller, useScalingFactor: false)

  Benchmark(
    "demand fault of 2 MiB against a handler in C",
    configuration: .init(
      metrics: [ours, floor, ratio], warmupIterations: 2, maxDuration: .seconds(20),
      maxIterations: 40)
  ) { benchmark in
    guard let comparison = FaultComparison() else {
      benchmark.error("no arena of \(FaultComparison.size) can be made")
      return
    }
    let holdfast = try comparison.holdfast()
    let c = comparison.c()
    benchmark.measurement(ours, Int(holdfast))
    benchmark.measurement(floor, Int(c))
    benchmark.measurement(ratio, Int(holdfast * 100 / c))
  }

  let fork = BenchmarkMetric.custom("fork (us)", polarity: .prefersSmaller, useScalingFactor: false)
  let copy = BenchmarkMetric.custom(
    "write after it (ns)", polarity: .prefersSmaller, useScalingFactor: false)
  Benchmark(
    "fork of a guest of 256 MiB, and its writes to 32 MiB",
    configuration: .init(
      metrics: [fork, copy], warmupIterations: 2, maxDuration: .seconds(20), maxIterations: 20)
  ) { benchmark in
    let size = ByteCount.mebibytes(256)
    let written = ByteCount.mebibytes(32)
    let backings: [Backing] = [.hugetlb2M, .thp, .base]
    guard
      let arena = backings.lazy.compactMap({ try? Arena(size: size + written, backing: $0) }).first
    else {
      benchmark.error("no arena of \(size + written) can be made")
      return
    }
    let parent = try GuestMemory(arena: arena, limit: size, demandPaging: DemandPaging())
    let ram = try parent.allocateSegment("ram", size: size)
    let receipt = try parent.map(ram, at: .zero, options: .wired)
    // The memory stays resident, and the fork can share it.
    try parent.unwire(receipt.range)
    let (child, forked) = try parent.fork()
    benchmark.measurement(fork, Int(forked.duration / .microseconds(1)))
    let median = FaultComparison.median(of: written) {
      cfaults_touch(
        child.hostAddress, Int(written.rawValue), Int(FaultComparison.page.rawValue), $0)
    }
    benchmark.measurement(copy, Int(median))
  }
}
