internal import HoldfastCore

extension CompleteBenchmark {
  /// Measures the boot of a guest in QEMU, and a clone of it.
  func measureBoot(_ report: inout CompleteReport) throws(HoldfastError) {
    guard let guest, let program else {
      let reason =
        program == nil ? "another program measures" : "it needs --guest-kernel and --guest-initrd"
      return report.missing.append(.init("a boot in QEMU against a clone", reason))
    }
    let name = "boot and clone"
    var ways = [
      MeasuredWay(.boot, "boot", "QEMU boots the guest", .program),
      MeasuredWay(.boot, "clone", "a clone continues", .holdfast),
    ]
    var times = ProcessorTimes.now
    // It cannot be captured by a closure.
    var (conditions, boot) = (report.conditions, report.boot)
    defer {
      (report.conditions, report.boot) = (conditions, boot)
      report.ways += ways
    }
    let benchmark = BootBenchmark(
      guest: guest, runs: runs, threads: memory.threads, holdfast: program,
      accelerator: accelerator)
    do throws(HoldfastError) {
      _ = try benchmark.run { (_) throws(HoldfastError) in
        try check()
      } ran: { run, result in
        boot = result
        for (index, part) in [BootBenchmark.Part.boot, .clone].enumerated() {
          ways[index].backing = result.backing
          ways[index].memory = result.memory
          ways[index].seconds = result[part]
          ways[index].conditions.append(conditions.count)
        }
        if let start = times, let now = ProcessorTimes.now {
          conditions.append(
            now.conditions(since: start, part: name, run: run, load: ProcessorTimes.load))
        }
        times = ProcessorTimes.now
      }
    } catch {
      guard error.code != .cancelled else { throw error }
      boot = nil
      for index in ways.indices { ways[index].fail(error.description) }
    }
  }
}
