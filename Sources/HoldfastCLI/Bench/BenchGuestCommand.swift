internal import ArgumentParser
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast bench guest`.
struct BenchGuestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guest",
    abstract: "Time how long a virtual machine waits for wired memory, by both paths.",
    usage: "holdfast bench guest [--memory <size>] [--runs <count>] [<options>]",
    discussion: """
      Makes a virtual machine of KVM (where /dev/kvm may be used) whose slots have the guest's \
      window, and times the call that maps and wires all of the guest's memory: by superpages \
      (prefault) and page by page (fault), from frames that are zeroed. The paths take turns; a first \
      run is not counted. They are compared as ministat(1) does, in milliseconds; what the slots and \
      the preparation of the memory took is shown beside. Of a guest of more than 3G the rest lies \
      from 4G on, and its two calls count together.

      With --hostile it times the faults of a guest whose memory comes on demand, alone and beside a \
      second guest in the same process that does its worst: touches what is not mapped, writes to \
      what it may only read, touches what its monitor maps and unmaps without end, writes while it is \
      forked without end. It takes 256M, whatever --memory says.
      """)

  @OptionGroup var options: MemoryOptions

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Runs that count, 1 to 1000; ministat's statistics need 3. (default: 10)", valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1000) })
  var runs = 10

  @Flag(help: "Time faults beside a hostile guest instead.")
  var hostile = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "With --hostile, faults of a median, 1 to 100000. (default: 320)", valueName: "count"),
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
        memory: plan.memory, runs: runs, backing: plan.backing, nodes: plan.nodes,
        guestPolicy: options.guestPolicy, threads: options.threads ?? host.parallelism, host: host)
      progress.begin("measuring")
      return try benchmark.run { step in
        progress.update(.steps(done: step.number, total: step.count, name: name(of: step)))
      }
    }
    let report = GuestBenchmarkReport(result)
    switch output.format {
    case .text: try Output.write(report.text)
    case .json: try Output.write(json(report))
    }
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
      return try benchmark.run { progress.begin("beside a guest: \($0.rawValue)") }
    }
    let report = HostileBenchmarkReport(result)
    switch output.format {
    case .text: try Output.write(report.text)
    case .json: try Output.write(json(report))
    }
    guard result.measurements.allSatisfy({ $0.problems.isEmpty }) else {
      throw CLIError("the books are not right after a hostile guest; please report this")
    }
  }

  /// The same width in every step, so that the bar beside it does not jump.
  private func name(of step: GuestBenchmark.Step) -> String {
    guard let path = step.path else { return "arena" }
    let run = step.run == 0 ? "warm-up" : "run \(step.run) of \(runs)"
    let text = run + ", " + path.rawValue
    let width = "run \(runs) of \(runs), ".count + "prefault".count
    return text + String(repeating: " ", count: max(0, width - text.count))
  }
}
