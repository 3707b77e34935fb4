internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// Ways to wire memory of one size and backing, by some threads.
final class WireGroup: BenchmarkGroup {
  let name: String
  var ways: [MeasuredWay]
  private let benchmark: WireBenchmark
  private var state: WireBenchmark.State
  private let strategies: [WireStrategy]

  init(_ group: MeasuredWay.Group, _ memory: BenchmarkMemory, _ strategies: [WireStrategy]) {
    name = "\(memory.size), \(memory.backing?.rawValue ?? "")"
    self.strategies = strategies
    benchmark = WireBenchmark(memory: memory, runs: 1, strategies: strategies, isWarm: true)
    state = WireBenchmark.State(benchmark)
    ways = strategies.map { strategy in
      // The kernel's ways by one thread are that whatever the group measures.
      let threads = strategy.threads(of: memory.threads)
      return MeasuredWay(
        group, strategy.rawValue, strategy.words, strategy.kind,
        backing: strategy.backing(like: memory.backing), memory: memory.size, threads: threads)
    }
  }

  func measure(
    run: Int, condition: Int, step: (String) throws(HoldfastError) -> Void
  ) throws(HoldfastError) {
    do throws(HoldfastError) {
      try benchmark.measure(run, &state) { (name) throws(HoldfastError) in
        try step("\(self.name), \(name)")
      }
    } catch {
      read(condition)
      guard error.code != .cancelled else { throw error }
      // What needs the arena cannot be measured without it; the group then ends.
      for index in ways.indices { ways[index].fail(error.description) }
      return
    }
    read(condition)
  }

  /// Takes over what was measured.
  private func read(_ condition: Int) {
    for (index, measurement) in state.measurements.enumerated() {
      let new = measurement.seconds.count - ways[index].seconds.count
      ways[index].seconds = measurement.seconds
      if new > 0 { ways[index].conditions += Array(repeating: condition, count: new) }
      if let problem = measurement.problem { ways[index].fail(problem) }
      guard let backing = state.backing else { continue }
      let strategy = strategies[index]
      ways[index].backing = strategy.backing(like: backing)
      let floor = strategy.floor(on: backing, isPlaced: state.placement == .direct)
      ways[index].floor = floor.flatMap { strategies.contains($0) ? $0.rawValue : nil }
    }
  }
}

extension WireStrategy {
  /// What a reader who does not know the names of strategies calls it.
  var words: String {
    switch self {
    case .fault: "Holdfast, page by page"
    case .prefault: "Holdfast, zeroed ahead"
    case .window: "Holdfast, zeroed ahead, in a window"
    case .prefaultDirty: "Holdfast, zeroed while it waits"
    case .unmap: "Holdfast, unmap"
    case .touch: "floor: mmap and a read a GiB"
    case .remap: "floor: mmap and MADV_POPULATE_WRITE of resident memory"
    case .continueAll: "floor: one UFFDIO_CONTINUE"
    case .uffdContinue: "floor: UFFDIO_CONTINUE for each page"
    case .zero: "floor: zeroing by all threads"
    case .munmap: "floor: munmap"
    case .populate: "MADV_POPULATE_WRITE"
    case .mapPopulate: "MAP_POPULATE"
    case .mlock, .mlockThreads, .mlockHuge, .mlockHugeThreads: "mlock"
    }
  }

  var kind: MeasuredWay.Kind {
    switch self {
    case .fault, .prefault, .window, .prefaultDirty, .unmap: .holdfast
    case .touch, .remap, .continueAll, .uffdContinue, .zero, .munmap: .floor
    case .populate, .mapPopulate, .mlock, .mlockThreads, .mlockHuge, .mlockHugeThreads: .kernel
    }
  }

  /// The threads that do the work, of those that a benchmark has.
  func threads(of all: Int) -> Int {
    switch self {
    case .prefaultDirty, .zero, .populate, .mlockThreads, .mlockHugeThreads: all
    default: 1
    }
  }

  /// The backing of the memory: that of the arena, but for ways whose memory is always private.
  func backing(like arena: Backing?) -> String? {
    switch self {
    case .mlock, .mlockThreads: Backing.base.rawValue
    case .mlockHuge, .mlockHugeThreads: Backing.thpPrivate.rawValue
    case .mapPopulate: arena == .hugetlb2M ? arena?.rawValue : Backing.base.rawValue
    default: arena?.rawValue
    }
  }
}
