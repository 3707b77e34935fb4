internal import CHoldfastBench
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Forks of a guest, and of a process with as much memory.
final class ForkGroup: BenchmarkGroup {
  let name = "fork"
  var ways: [MeasuredWay]
  private let memory: BenchmarkMemory
  private let forks: [Fork]

  private enum Fork: Hashable {
    case guest(Backing)
    case process(isHuge: Bool)
  }

  init(_ memory: BenchmarkMemory, backings: [Backing]) {
    self.memory = memory
    forks =
      backings.map { Fork.guest($0) } + [.process(isHuge: false), .process(isHuge: true)]
    ways = forks.map { fork in
      switch fork {
      case .guest(let backing):
        MeasuredWay(
          .fork, "fork", "Holdfast, fork of a guest", .holdfast, backing: backing.rawValue,
          memory: memory.size)
      case .process(let isHuge):
        MeasuredWay(
          .fork, "process", "fork(2) of a process", .kernel,
          backing: (isHuge ? Backing.thpPrivate : .base).rawValue, memory: memory.size)
      }
    }
  }

  func measure(
    run: Int, condition: Int, step: (String) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    try measureEach(run: run, condition: condition, step: step) { (index) throws(HoldfastError) in
      switch forks[index] {
      case .guest(let backing): return try guest(backing)
      case .process(let isHuge):
        let needed = memory.size + .mebibytes(256)
        guard memory.host.availableForGuests >= needed else {
          throw HoldfastError(
            .resourceShortage, operation: "fork a process",
            reason: "\(needed) of ordinary memory are needed")
        }
        let seconds = hf_bench_fork(Int(memory.size.rawValue), isHuge ? 1 : 0)
        guard seconds > 0 else {
          throw HoldfastError(
            .host, operation: "fork a process", reason: "fork(2) or its memory failed",
            errno: Int32(-seconds))
        }
        return seconds
      }
    }
  }

  /// The first fork of a guest all of whose memory is resident.
  private func guest(_ backing: Backing) throws(HoldfastError) -> Double {
    var memory = memory
    memory.backing = backing
    return try BudgetBenchmark.forkSeconds(on: try memory.makeArena(), memory.host)
  }
}
