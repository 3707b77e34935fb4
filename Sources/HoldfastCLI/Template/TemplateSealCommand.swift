internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastMonitor
internal import HoldfastReservoir
internal import HoldfastTemplate
internal import SystemPackage

/// `holdfast template seal`.
struct TemplateSealCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "seal",
    abstract: "Stop a machine that `create` runs, and make it a template.",
    usage: """
      holdfast template seal <name> [--qmp <path>] [<options>]
      holdfast template seal <name> --state <file> [<options>] -- <command> ...
      """,
    discussion: """
      Stops the machine, saves the state of its devices, ends the monitor, and keeps memory and \
      state as the template. If that fails, the machine continues.

      Seal when the guest waits, and before it makes keys: all clones have what it knows.

      QEMU takes its commands by QMP. For another monitor give --state and a command that stops the machine \
      and writes the state of its devices, without the memory, to that file, which is then copied \
      into the template. Without a command the file must exist already, and the machine stand still.
      """)

  @OptionGroup var template: TemplateNameOptions

  @Option(
    help: ArgumentHelp(
      "The QMP socket of the monitor. (default: the one that `create` gave it)",
      valueName: "path"))
  var qmp: String?

  @Option(
    help: ArgumentHelp(
      "The file that the command after -- writes the state of the devices to.", valueName: "file"))
  var state: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Give up when the devices have not saved their state after this time, in seconds or with a "
        + "unit: 2m. (default: 120)",
      valueName: "seconds"),
    transform: { try span($0) })
  var timeout = Duration.seconds(120)

  @OptionGroup var output: FormatOptions

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The command and its arguments, after --.", valueName: "command"))
  var words: [String] = []

  func validate() throws {
    if state == nil, !words.isEmpty {
      throw ValidationError("a command needs '--state', the file that it writes")
    }
    if state != nil, qmp != nil {
      throw ValidationError("'--state' and '--qmp' cannot be combined")
    }
  }

  func run() throws {
    let store = try template.place.store()
    let draft = try store.draft(template.name)
    let lock = try draft.lockSealing(timeout: .seconds(10))
    defer { withExtendedLifetime(lock) {} }
    let memory: MachineSeal.Memory =
      store.hasReservoir
      ? .lease(try Reservoir(mount: store.mount), try MachineSeal.leaseName(template.name))
      : .draft
    let seal = MachineSeal(draft, memory, timeout: timeout)
    let receipt = try seal.completed() ?? self.seal(draft, seal)
    try output.write(receipt, text: Self.text(receipt))
  }

  private func seal(_ draft: TemplateDraft, _ seal: MachineSeal) throws -> SealReceipt {
    try seal.wake()
    return try seal.seal(try saver(draft))
  }

  private func saver(_ draft: TemplateDraft) throws -> MachineSeal.Saver {
    guard let state else { return .qemu(try connect(draft)) }
    if !words.isEmpty {
      let signals = ChildSignals()
      let status = try RunCommand.start(words.map { Array($0.utf8) }, inheriting: [], signals)
        .wait(signals)
      if status != 0 {
        throw CLIError(
          "cannot seal the template '\(template.name)': '\(words[0])' ended with status \(status); "
            + "try: a command that stops the machine and writes \(state)")
      }
    }
    let path = absolute(state)
    let name = path.split(separator: "/").last.map { String($0) } ?? ""
    let bytes = try during(
      "seal the template '\(template.name)'", "cannot read the device state in \(state)",
      advice: .other("the file that the command writes")
    ) { () throws(Errno) in
      let folder = try Folder.open(path: String(path.dropLast(name.utf8.count)))
      let file = try folder.file(name, writable: false)
      let status = try file.status()
      guard status.isRegular else { throw .invalidArgument }
      return try file.bytes(count: Int(clamping: status.size.rawValue))
    }
    return .other(state: bytes)
  }

  private func connect(_ draft: TemplateDraft) throws -> QMPConnection {
    let operation = "seal the template '\(template.name)'"
    let socket: StreamSocket
    do throws(Errno) {
      if let qmp {
        let path = absolute(qmp)
        let name = path.split(separator: "/").last.map { String($0) } ?? ""
        socket = try StreamSocket(
          name, in: Folder.open(path: String(path.dropLast(name.utf8.count))))
      } else {
        socket = try StreamSocket(TemplateDraft.commandSocket, in: draft.folder)
      }
    } catch {
      if error == .noSuchFileOrDirectory, qmp == nil {
        throw HoldfastError(
          .invalidArgument, operation: operation, reason: "its monitor is not QEMU",
          advice: .other("--state <file> and a command that saves the state, or --qmp <path>"))
      }
      throw HoldfastError(
        errno: error, operation: operation,
        reason: "cannot connect to \(qmp ?? "the monitor")",
        advice: .other("--qmp <path>, the QMP socket of a monitor that runs"))
    }
    do throws(QMPConnection.Problem) {
      return try QMPConnection(socket, timeout: .seconds(30))
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: "\(error)",
        advice: .other("again when no other program uses the monitor's QMP socket"))
    }
  }

  private static func text(_ receipt: SealReceipt) -> String {
    """
    template   \(receipt.name)
    memory     \(receipt.size), pages of \(receipt.pageSize)
    state      \(ByteCount(UInt64(receipt.stateBytes)))
    monitor    \(([receipt.monitor, receipt.version].compactMap { $0 }).joined(separator: " "))
    stopped    for \(formatted(.seconds(receipt.seconds))) until it was complete
    path       \(receipt.path)

    """
  }
}
