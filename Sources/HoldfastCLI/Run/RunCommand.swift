internal import ArgumentParser
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import SystemPackage

/// `holdfast run`.
struct RunCommand: ParsableCommand, WritesNoResults {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a monitor on leased memory, and return the memory when it ends.",
    usage: """
      holdfast run --memory <size> [<options>] -- <program> ... {memory} ...
      holdfast run --template <name> [<options>] -- <program> ... {memory} ...
      """,
    discussion: """
      Leases memory from the reservoir and starts the program. In its arguments, {memory} is \
      replaced by the path of the leased file, {fd} by the number of an open descriptor of it, \
      {size} by its size in QEMU's notation, such as 10G, {bytes} and {mib} by its size as a \
      number, and {name} by the name of the lease:

        holdfast run -m 10G -- qemu-system-x86_64 -m {size} \\
          -object memory-backend-file,id=ram,mem-path={memory},size={size},share=on \\
          -machine q35,memory-backend=ram ...

      For {{memory} the program gets {memory}. Other text in braces does not change, and neither \
      do braces after a $.

      A guest with several NUMA nodes gets a file for each: -m 4G@0 -m 4G@1. Then {memory.0}, \
      {fd.0}, {size.0}, {bytes.0}, {mib.0} and {name.0} are about the first file, and {size}, \
      {bytes} and {mib} about all of them. Either all files are leased or none; the leases are \
      NAME-0, NAME-1 and so on.

      The program inherits the open file, whose lock holds the lease. It therefore keeps the memory \
      as long as it lives, even if holdfast is killed; `holdfast reservoir gc` then collects the \
      memory afterwards. The owner of the reservoir and root lease directly; other users lease \
      from the service (`holdfast reservoir serve`). Signals are passed on to the program. The \
      exit status is the program's, or 128 and the number of the signal that ended it. If holdfast \
      cannot start the program, the status is 1 or 64, as for other commands. As process 1 of a \
      container, holdfast also reaps the processes that their parents left.

      With --template the memory is that of a template (`holdfast template`), and clones of its \
      machine go on. QEMU gets `-incoming defer` and a QMP socket, by which its state is loaded and \
      its guest started. {share} is off, {state} the path of the device state, for other monitors, \
      {name} the name of the clone, {id} its number from 0, {uuid} a new UUID, and {seed} 64 new \
      random hexadecimal digits. The memory for the pages that clones write is checked before they \
      start; on hugetlbfs the kernel reserves it. The exit status is that of the first clone that \
      failed.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "The size of the memory with K, M, G or T: 512M, 10G. A number alone is in bytes. Can be "
        + "repeated, with @ and a NUMA node: 4G@1.",
      valueName: "size"),
    transform: { try RunMemory($0) })
  var memory: [RunMemory] = []

  @OptionGroup var clones: CloneOptions
  @OptionGroup var request: LeaseRequestOptions
  @OptionGroup var ending: ReuseOptions
  @OptionGroup var place: ReservoirAccessOptions

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The program and its arguments, after --.", valueName: "program"))
  var words: [String]

  func validate() throws {
    guard let program = words.first, !program.isEmpty else {
      throw ValidationError("no program follows '--'")
    }
    if clones.template == nil, memory.isEmpty {
      throw ValidationError("missing expected argument '--memory <size>' or '--template <name>'")
    }
    try clones.check(memory: memory, request)
    do throws(ArgumentTemplate.Problem) {
      if clones.template == nil { _ = try plan() } else { _ = try ClonePlan(programWords) }
    } catch {
      throw ValidationError(error.description)
    }
    _ = try requests()
  }

  /// The program and its arguments are the last ones, byte for byte. In tests of the parser no
  /// arguments were given to main().
  private var programWords: [[UInt8]] {
    let given = Arguments.bytes.suffix(words.count)
    return given.count == words.count ? Array(given) : words.map { Array($0.utf8) }
  }

  private func plan() throws(ArgumentTemplate.Problem) -> RunPlan {
    try RunPlan(memory: memory, words: programWords)
  }

  /// A request for each piece of memory. With a name, several pieces are NAME-0, NAME-1 and so on.
  private func requests() throws -> [LeaseRequest] {
    try memory.enumerated().map { index, piece in
      var request = request.request(piece.size.bytes)
      request.isHeld = true
      request.node = piece.node ?? request.node
      if memory.count > 1, let name = request.name {
        do throws(HoldfastError) {
          request.name = try LeaseName("\(name)-\(index)")
        } catch {
          throw ValidationError("'\(name)-\(index)' is no name of a lease: \(error.reason)")
        }
      }
      return request
    }
  }

  func run() throws {
    if let template = clones.template {
      let plan = try ClonePlan(programWords)
      return try RunClones(
        template, plan, clones, name: request.name?.text, mount: place.place.mount
      ).run()
    }
    for piece in memory { Output.note(on: piece.size) }
    _ = try ZeroingChoice.environment()
    let leases = RunLeases(try place.access(), reuse: ending.options)
    let signals = ChildSignals()
    let late = try Self.lease(leases, try requests(), signals)
    let plan = try plan()
    let words = plan.words(for: leases.held)
    if let number = late ?? signals.pendingTermination() {
      leases.end()
      Signals.end(by: number)
    }
    let child: ChildProcess
    do {
      child = try Self.start(words, inheriting: leases.held.map(\.descriptor), signals)
    } catch {
      leases.end()
      throw error
    }
    let status = child.wait(signals)
    leases.end()
    if status != 0 { throw ProgramExit(status: status) }
  }

  /// Starts a program.
  static func start(
    _ words: [[UInt8]], inheriting descriptors: [Int32], _ signals: ChildSignals
  ) throws(CLIError) -> ChildProcess {
    do throws(Errno) {
      return try ChildProcess(words, inheriting: descriptors, signals)
    } catch {
      let program = String(decoding: words[0], as: UTF8.self)
      let advice =
        switch (error, program.contains("/")) {
        case (.noSuchFileOrDirectory, false): "its full path"
        case (.permissionDenied, _): "a file that this user may execute"
        default: "another program"
        }
      throw CLIError("cannot start '\(program)': \(error); try: \(advice)")
    }
  }

  /// Leases; a signal ends the program while it waits for memory or populates it.
  ///
  /// - Returns: the signal that arrived too late to cancel the leases.
  static func lease(
    _ leases: RunLeases, _ requests: [LeaseRequest], _ signals: ChildSignals
  ) throws -> Int32? {
    let watch: SignalWatch
    do throws(Errno) {
      watch = try SignalWatch(signals)
    } catch {
      throw CLIError(
        "cannot start a thread that waits for signals: \(error); try: a higher limit of threads "
          + "(ulimit -u)")
    }
    do {
      try leases.lease(requests, cancellation: watch.cancellation)
      return watch.stop()
    } catch {
      if let number = watch.stop() { Signals.end(by: number) }
      throw error
    }
  }
}

/// The status of the program that `holdfast run` ran, which becomes the status of `holdfast`.
struct ProgramExit: Error {
  let status: Int32
}
