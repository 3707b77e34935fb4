import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import Testing

@testable import HoldfastBench

/// Benchmarks of real memory. The tests judge no times.
struct WireBenchmarkTests {
  private func benchmark(_ strategies: [WireStrategy] = WireStrategy.allCases) -> WireBenchmark {
    WireBenchmark(memory: smallMemory(.mebibytes(16)), runs: 3, strategies: strategies)
  }

  @Test func `all strategies, three runs`() throws {
    var steps: [BenchmarkStep] = []
    let result = try benchmark().run { steps.append($0) }
    #expect(result.memory == .mebibytes(16) && result.runs == 3 && result.backing == .base)
    #expect(result.arenaSeconds.count == 3 && result.arenaSeconds.allSatisfy { $0 > 0 })
    #expect(result.measurements.map(\.strategy) == WireStrategy.allCases)
    for measurement in result.measurements {
      // The host may refuse mlock(2) or userfaultfd(2).
      let mayFail =
        measurement.strategy.isLocking
        || [.uffdContinue, .continueAll].contains(measurement.strategy)
      #expect(measurement.problem == nil || mayFail, "\(measurement)")
      #expect(measurement.seconds.count == (measurement.problem == nil ? 3 : 0))
      #expect(measurement.seconds.allSatisfy { $0 > 0 })
    }
    #expect(result.fallbacks == [])

    let text = WireBenchmarkReport(result).text
    #expect(text.hasPrefix("Wiring 16 MiB (base), 3 runs after a warm-up, 2 threads\n\nx prefault"))
    #expect(text.contains("\n+----") && text.contains("\nstrategy ") && text.contains("\n(arena) "))
    #expect(text.contains(" as long as prefault ("))
    let report = try object(WireBenchmarkReport(result))
    #expect((report["comparisons"] as? [Any])?.isEmpty == false)
    #expect((report["results"] as? [Any])?.count == WireStrategy.allCases.count)

    // Each run begins with the arena and omits strategies that have failed.
    #expect(steps.filter { $0.name == "arena" }.map(\.run) == [0, 1, 2, 3])
    #expect(steps.filter { $0.name == "fault" }.count == 4)
    let perRun = 1 + WireStrategy.allCases.count
    #expect(steps.allSatisfy { $0.count == 4 * perRun && $0.number / perRun == $0.run })
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $0.number < $1.number })
  }

  @Test func `only the chosen strategies are measured, in another order in each run`() throws {
    var order: [[WireStrategy]] = [[], [], [], []]
    let result = try benchmark([.remap, .prefault]).run { step in
      if let strategy = WireStrategy(rawValue: step.name) { order[step.run].append(strategy) }
    }
    #expect(result.measurements.map(\.strategy) == [.remap, .prefault])
    #expect(
      order == [
        [.remap, .prefault], [.prefault, .remap], [.remap, .prefault], [.prefault, .remap],
      ])
    #expect(result.placement == .direct && result.comparisons.isEmpty)
  }

  @Test func `a strategy that the kernel refuses does not stop the others`() async {
    // Another process, which may lock almost no memory and runs as nobody if it was root.
    await #expect(processExitsWith: .success) {
      var limit = rlimit(rlim_cur: 65536, rlim_max: 65536)
      precondition(setrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0)
      // A user namespace may have no user nobody; a process that may lock anyway shows nothing.
      if geteuid() == 0, setuid(65534) != 0 { return }
      let result = try WireBenchmark(
        memory: smallMemory(.mebibytes(16)), runs: 3, strategies: [.mlock, .prefault, .populate]
      ).run()
      precondition(result.measurements[0].problem == "Cannot allocate memory")
      precondition(result.measurements[0].seconds.isEmpty && result[.mlock] == nil)
      precondition(result[.prefault]?.seconds.count == 3 && result[.populate]?.seconds.count == 3)
      let text = WireBenchmarkReport(result).text
      precondition(text.contains("\nnot measured: mlock: Cannot allocate memory\n"))
    }
  }

  @Test func `an arena that the host cannot provide is an error`() {
    var benchmark = benchmark()
    benchmark.memory.size = .tebibytes(1 << 10)
    let error = #expect(throws: (any Error).self) { try benchmark.run() }
    #expect("\(error as Any)".contains("are available"))
  }
}
