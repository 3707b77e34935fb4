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
    usage: "holdfast run --memory <size> [<options>] -- <program> ... {memory} ...",
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
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "The size of the memory with K, M, G or T: 512M, 10G. A number alone is in bytes. Can be "
        + "repeated, with @ and a NUMA node: 4G@1.",
      valueName: "size"),
    transform: { try RunMemory($0) })
  var memory: [RunMemory]

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
    do throws(ArgumentTemplate.Problem) {
      _ = try plan()
    } catch {
      throw ValidationError(error.description)
    }
    _ = try requests()
  }

  /// The program and its arguments are the last ones, byte for byte.
  private func plan() throws(ArgumentTemplate.Problem) -> RunPlan {
    let given = Arguments.bytes.suffix(words.count)
    // In tests of the parser no arguments were given to main().
    return try RunPlan(
      memory: memory,
      words: given.count == words.count ? Array(given) : words.map { Array($0.utf8) })
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
    for piece in memory { Output.note(on: piece.size) }
    _ = try ZeroingChoice.environment()
    let leases = RunLeases(try place.access(), reuse: ending.options)
    let signals = ChildSignals()
    let late = try lease(leases, signals)
    let plan = try plan()
    let words = plan.words(for: leases.held)
    if let number = late ?? signals.pendingTermination() {
      leases.end()
      Signals.end(by: number)
    }
    let child: ChildProcess
    do throws(Errno) {
      child = try ChildProcess(words, inheriting: leases.held.map(\.descriptor), signals)
    } catch {
      leases.end()
      let program = self.words[0]
      let advice =
        switch (error, program.contains("/")) {
        case (.noSuchFileOrDirectory, false): "its full path"
        case (.permissionDenied, _): "a file that this user may execute"
        default: "another program"
        }
      throw CLIError("cannot start '\(program)': \(error); try: \(advice)")
    }
    let status = child.wait(signals)
    leases.end()
    if status != 0 { throw ProgramExit(status: status) }
  }

  /// Leases; a signal ends the program while it waits for memory or populates it.
  ///
  /// - Returns: the signal that arrived too late to cancel the leases.
  private func lease(_ leases: RunLeases, _ signals: ChildSignals) throws -> Int32? {
    let watch: SignalWatch
    do throws(Errno) {
      watch = try SignalWatch(signals)
    } catch {
      throw CLIError(
        "cannot start a thread that waits for signals: \(error); try: a higher limit of threads "
          + "(ulimit -u)")
    }
    do {
      try leases.lease(try requests(), cancellation: watch.cancellation)
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
