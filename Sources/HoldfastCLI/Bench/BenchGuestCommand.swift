internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench guest`.
struct BenchGuestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guest",
    abstract: "Time how long a virtual machine waits for wired memory, by either path.",
    usage: "holdfast bench guest [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Creates a KVM virtual machine (if /dev/kvm is usable) whose slots contain the guest's \
      window, and times the call that maps and wires all guest memory, by superpages (prefault) \
      and page by page (fault), from zeroed frames. The paths alternate; a first run is a warm-up \
      that does not count. They are compared as ministat(1) compares samples, in milliseconds; the \
      times of the slots and of preparing the memory are shown separately. In a guest of more than \
      3G, the rest of the memory starts at 4G, and its two calls count as one. Last comes the \
      guest's first write to an absent page of 4K, by what serves the page fault: a handler thread \
      in C, Holdfast's, or the guest's processor.

      With --hostile, the command times the page faults of a guest with demand paging beside a \
      hostile guest in the same process, in rounds in which that guest pauses and runs in turn. It \
      accesses unmapped memory, writes to \
      read-only memory, accesses memory that its monitor keeps mapping and unmapping, and writes \
      while its monitor keeps forking it. This allocates 256M, whatever --memory says.
      """)

  @OptionGroup var options: MemoryOptions

  @OptionGroup var count: RunsOption

  @Flag(help: "Time page faults beside a hostile guest instead.")
  var hostile = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "With --hostile, the number of page faults in a median, 1 to 100000. (default: 320)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...100_000) })
  var faults = 320

  @OptionGroup var output: FormatOptions

  func run() throws {
    if hostile {
      try measureHostile()
    } else {
      try measure()
    }
  }

  private func measure() throws {
    let plan = try options.plan()
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { host in
      let benchmark = GuestBenchmark(
        memory: options.benchmarkMemory(plan, host), runs: count.runs)
      progress.begin("measuring")
      return try benchmark.run {
        progress.update(
          .step($0, of: count.runs, names: GuestBenchmark.Path.allCases.map(\.rawValue)))
      }
    }
    let report = GuestBenchmarkReport(result)
    try output.write(report, text: report.text)
  }

  private func measureHostile() throws {
    let plan = try WirePlan(
      HostProbe().host(), memory: ByteCount(4 * HostileBenchmark.guestMemory.rawValue),
      backing: options.backing, reserve: options.reserveHugepages)
    let progress = ProgressBar()
    let result = try plan.perform(cleaning: progress) { host in
      let benchmark = HostileBenchmark(
        backing: plan.backing, faults: faults, threads: options.threads ?? host.parallelism,
        host: host)
      return try benchmark.run { progress.begin("beside a hostile guest: \($0.rawValue)") }
    }
    let report = HostileBenchmarkReport(result)
    try output.write(report, text: report.text)
    guard result.measurements.allSatisfy({ $0.problems.isEmpty }) else {
      throw CLIError(
        "the VM layer's invariants are broken after a hostile guest; try: report this with the "
          + "output of `holdfast host`")
    }
  }
}
