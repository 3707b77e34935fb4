internal import ArgumentParser
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastMonitor
internal import HoldfastReservoir
internal import HoldfastTemplate
internal import SystemPackage

/// `holdfast template create`.
struct TemplateCreateCommand: ParsableCommand, WritesNoResults {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Run the machine that will be a template.",
    usage: """
      holdfast template create <name> --memory <size> [<options>] -- \\
        <program> ... {memory} ...
      """,
    discussion: """
      Leases memory from the reservoir, or in a folder without one creates a file, and starts the \
      monitor on it, as `holdfast run` does. In its arguments {memory}, {fd}, {size}, {bytes}, \
      {mib}, {name} and {share} are replaced; {share} is on. The monitor must map the memory shared.

      For QEMU, whose program's name begins with qemu, a QMP socket for `holdfast template seal` is \
      added to its arguments. Let the machine boot, and run `holdfast template seal` at the moment \
      from which clones are to go on. That ends the monitor, and this command with status 0. If the \
      monitor ends by itself, its memory is returned, and the status is the monitor's.
      """)

  @OptionGroup var template: TemplateNameOptions

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The size of the memory with K, M, G or T: 512M, 10G. A number alone is in bytes.",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size

  @OptionGroup var missing: LeaseWaitOptions

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The program and its arguments, after --.", valueName: "program"))
  var words: [String]

  func validate() throws {
    guard let program = words.first, !program.isEmpty else {
      throw ValidationError("no program follows '--'")
    }
    guard !words.contains("-daemonize") else {
      throw ValidationError(
        "'-daemonize' hides the end of the monitor: run this command in the background instead")
    }
    do throws(ArgumentTemplate.Problem) {
      _ = try plan()
    } catch {
      throw ValidationError(error.description)
    }
  }

  private func plan() throws(ArgumentTemplate.Problem) -> RunPlan {
    let given = Arguments.bytes.suffix(words.count)
    return try RunPlan(
      memory: [RunMemory(size: memory, node: nil)],
      words: given.count == words.count ? Array(given) : words.map { Array($0.utf8) })
  }

  func run() throws {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    let store = try template.place.store()
    let signals = ChildSignals()
    let draft = try store.begin(template.name)
    do {
      try run(draft, store, signals)
    } catch let exit as ProgramExit {
      // The seal ends the monitor by a signal.
      if draft.end() { return }
      throw exit
    } catch {
      _ = draft.end()
      throw error
    }
    _ = draft.end()
  }

  /// Runs the monitor until it ends.
  private func run(
    _ draft: TemplateDraft, _ store: TemplateStore, _ signals: ChildSignals
  ) throws {
    let leases: RunLeases?
    let file: OpenFile?
    var words: [[UInt8]]
    if store.hasReservoir {
      let reservoir = try Reservoir(mount: store.mount)
      let held = RunLeases(.folders(reservoir), reuse: RecycleOptions(reuse: .fresh))
      let name = try MachineSeal.leaseName(template.name)
      // The draft is new, so a lease of that name is of a machine that was killed with `create`.
      if (try? reservoir.file(ofLease: name, "create the template")) != nil {
        _ = try? reservoir.recycle(
          name, otherwise: .release, options: RecycleOptions(reuse: .fresh))
      }
      var request = LeaseRequest(size: memory.bytes, name: name)
      request.isHeld = true
      request.grows = missing.grow
      request.timeout = missing.wait ?? .zero
      let late = try RunCommand.lease(held, [request], signals)
      if let number = late ?? signals.pendingTermination() {
        held.end()
        _ = draft.end()
        Signals.end(by: number)
      }
      words = try plan().words(
        path: held.held[0].receipt.path, descriptor: held.held[0].descriptor,
        name: template.name.text)
      (leases, file) = (held, nil)
    } else {
      guard !store.isMemory else {
        throw CLIError(
          "cannot create the template '\(template.name)': \(store.mount) has no reservoir, whose "
            + "memory the machine gets; try: holdfast reservoir init --mount \(store.mount)")
      }
      let made = try draft.makeMemory(memory.bytes, isWhole: true)
      words = try plan().words(
        path: draft.memoryPath, descriptor: made.descriptor, name: template.name.text)
      (leases, file) = (nil, made)
    }
    defer { leases?.end() }
    var socket: OpenFile?
    if ClonePlan.isQEMU(words[0]) {
      let made = try during(
        "start the template '\(template.name)'", "cannot create the QMP socket"
      ) { () throws(Errno) in
        try StreamSocket.listener(TemplateDraft.commandSocket, in: draft.folder)
      }
      words += [
        "-chardev", "socket,id=holdfast,fd=\(made.descriptor),server=on,wait=off", "-mon",
        "chardev=holdfast,mode=control",
      ].map { Array($0.utf8) }
      socket = made
    }
    let descriptors =
      (leases?.held.map(\.descriptor) ?? []) + [draft.folder.descriptor]
      + (file.map { [$0.descriptor] } ?? []) + (socket.map { [$0.descriptor] } ?? [])
    let child = try RunCommand.start(words, inheriting: descriptors, signals)
    withExtendedLifetime((file, socket)) {}
    do {
      try draft.note(try process(child))
    } catch {
      child.end()
      _ = child.wait(signals)
      throw error
    }
    let status = child.wait(signals)
    if status != 0 { throw ProgramExit(status: status) }
  }

  private func process(_ child: ChildProcess) throws -> HostProcess {
    try during("start the template '\(template.name)'", "cannot look up the monitor") {
      () throws(Errno) in try HostProcess(child.number)
    }
  }
}
