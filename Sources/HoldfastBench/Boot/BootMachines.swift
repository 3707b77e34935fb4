internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import SystemPackage

/// The machines and clones of a benchmark, each started by a command of holdfast.
final class BootMachines {
  /// What the memory of the template consists of.
  let backing: String
  private let benchmark: BootBenchmark
  private let path: String
  /// Has the memory of machines; nil on a disk, where they have files.
  private let reservoir: Reservoir?
  /// How long a guest may take to write a line, and a program to end.
  var limit = Duration.seconds(300)
  /// The machine that becomes the template.
  private var machine: (program: StartedProgram, console: GuestConsole)?

  private static let template = "base"
  private static let machineName = "the machine"
  private static let cloneName = "the clone"
  /// How long the first clone runs on.
  private static let firstTime = Duration.seconds(1)

  /// - Parameter path: an empty folder for all files.
  init(_ benchmark: BootBenchmark, _ path: String) throws(HoldfastError) {
    self.benchmark = benchmark
    self.path = path
    let kind = try during(BootBenchmark.operation, "cannot look up the file system of \(path)") {
      () throws(Errno) in try Folder.open(path: path).fileSystem().kind
    }
    switch kind {
    case .hugetlbfs: backing = Backing.hugetlb2M.rawValue
    case .tmpfs: backing = "tmpfs"
    case .other: backing = "disk"
    }
    reservoir = kind == .other ? nil : try Reservoir.create(mount: path)
  }

  // MARK: The steps

  /// Boots a machine up to its first line.
  ///
  /// - Parameter isKept: whether it runs on, to be sealed.
  /// - Returns: the seconds.
  func boot(keeping isKept: Bool, _ check: () throws(HoldfastError) -> Void) throws(HoldfastError)
    -> Double
  {
    if let reservoir {
      _ = try reservoir.fill(
        FillPlan([.init(count: 1, size: benchmark.memory)]),
        options: FillOptions(threads: benchmark.threads))
    }
    let name = isKept ? Self.template : "boot"
    var console = GuestConsole(marker: benchmark.guest.marker)
    let start = Instant.now
    let program = try self.start(
      [
        "template", "create", name, "--mount", path, "--memory",
        benchmark.memory.shortDescription, "--",
      ] + words)
    let seconds = try wait(for: program, Self.machineName, &console, since: start, check)
    if isKept {
      machine = (program, console)
    } else {
      program.end()
      // No more than two guests' memory is in use at a time.
      _ = try reservoir?.drain()
    }
    return seconds
  }

  /// Makes the machine that was kept a template.
  ///
  /// - Returns: the seconds until it can have clones.
  func seal(_ check: () throws(HoldfastError) -> Void) throws(HoldfastError) -> Double {
    guard let machine else { return 0 }
    let start = Instant.now
    let seal = try self.start(["template", "seal", Self.template, "--mount", path])
    try waitForEnd(seal, "the seal", check)
    let seconds = (Instant.now - start).seconds
    // What the machine has written before it was stopped.
    var console = machine.console
    try waitForEnd(machine.program, Self.machineName, check) { _ = console.receive($0) }
    self.machine = (machine.program, console)
    return seconds
  }

  /// Starts a clone and waits until its guest continues.
  ///
  /// - Parameter isFirst: whether it runs on for a while, in which holdfast notes the pages that it
  ///   touches, for later clones.
  /// - Returns: the seconds.
  func clone(
    isFirst: Bool, _ check: () throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> Double {
    guard var console = machine?.console else { return 0 }
    let start = Instant.now
    let program = try self.start(
      ["run", "--template", Self.template, "--mount", path, "--name", "clone", "--"] + words)
    let seconds = try wait(for: program, Self.cloneName, &console, since: start, check)
    let end = Instant.now + (isFirst ? Self.firstTime : .zero)
    while Instant.now < end {
      try check()
      if try read(program)?.isEmpty == true { throw endedEarly(program, Self.cloneName) }
    }
    program.end()
    return seconds
  }

  // MARK: Programs

  /// QEMU's words, the same for machines and clones.
  private var words: [String] {
    [
      benchmark.program, "-m", "{size}", "-cpu", "max", "-object",
      "memory-backend-file,id=ram,mem-path={memory},size={size},share={share},prealloc=off",
      "-machine", "q35,accel=\(benchmark.accelerator),memory-backend=ram", "-nodefaults",
      "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel",
      benchmark.guest.kernel, "-initrd", benchmark.guest.initrd,
      "-append", "console=ttyS0 quiet panic=-1",
    ]
  }

  private func start(_ arguments: [String]) throws(HoldfastError) -> StartedProgram {
    try during(BootBenchmark.operation, "\(benchmark.holdfast) cannot be started") {
      () throws(Errno) in try StartedProgram([benchmark.holdfast] + arguments)
    }
  }

  /// Waits for the next line of a guest whose console has been read up to its end.
  ///
  /// - Parameter name: what the error calls the program.
  /// - Returns: the seconds since `start`.
  private func wait(
    for program: StartedProgram, _ name: String, _ console: inout GuestConsole,
    since start: Instant, _ check: () throws(HoldfastError) -> Void
  ) throws(HoldfastError) -> Double {
    let before = console.number
    while true {
      try check()
      // A guest may write without end, and no line of those.
      guard Instant.now - start < limit else {
        throw failure(
          "the guest has written no line '\(benchmark.guest.marker) NUMBER' to its console",
          .other("a guest that writes such lines as long as it runs, each with a larger number"))
      }
      guard let bytes = try read(program) else { continue }
      guard !bytes.isEmpty else { throw endedEarly(program, name) }
      let now = Instant.now
      guard let number = console.receive(bytes).first else { continue }
      if let before, number <= before {
        throw failure(
          "the guest has written '\(benchmark.guest.marker) \(number)' after "
            + "'\(benchmark.guest.marker) \(before)'",
          .other("a guest that writes such lines with larger and larger numbers"))
      }
      return (now - start).seconds
    }
  }

  private func waitForEnd(
    _ program: StartedProgram, _ name: String, _ check: () throws(HoldfastError) -> Void,
    _ receive: ([UInt8]) -> Void = { _ in }
  ) throws(HoldfastError) {
    let start = Instant.now
    while true {
      try check()
      guard Instant.now - start < limit else { throw failure("\(name) does not end", .retry) }
      guard let bytes = try read(program) else { continue }
      if bytes.isEmpty { break }
      receive(bytes)
    }
    guard program.wait(within: .seconds(10)) == 0 else { throw endedEarly(program, name) }
  }

  private func read(_ program: StartedProgram) throws(HoldfastError) -> [UInt8]? {
    try during(BootBenchmark.operation, "cannot read from the console of a guest") {
      () throws(Errno) in try program.read(milliseconds: 20)
    }
  }

  private func endedEarly(_ program: StartedProgram, _ name: String) -> HoldfastError {
    let status = program.wait(within: .seconds(10)).map { "\($0)" } ?? "unknown"
    // An error of holdfast says what to do.
    if let error = program.error { return failure(error, nil) }
    let message = program.message.map { ": \($0)" } ?? ""
    return failure(
      "\(name) ended early, with status \(status)" + message,
      .other("a guest that boots in \(benchmark.memory), and runs on"))
  }

  private func failure(_ reason: String, _ advice: Advice?) -> HoldfastError {
    HoldfastError(.host, operation: BootBenchmark.operation, reason: reason, advice: advice)
  }
}
