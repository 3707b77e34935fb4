internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux

/// An error's advice in the program's own words: the options and commands that a person can type.
enum AdviceText {
  /// The line of an error: what is wrong, and what to do.
  ///
  /// - Parameter canWait: whether the command has `--wait`.
  static func line(_ error: HoldfastError, canWait: Bool = true) -> String {
    let mount = mount(in: Arguments.texts)
    return error.statement
      + (error.advice.map { "; try: \(text($0, canWait: canWait, mount: mount))" } ?? "")
  }

  /// The value of `--mount` on a command line, so that the commands of an advice are for the same
  /// reservoir. What follows `--` belongs to the monitor.
  static func mount(in arguments: [String]) -> String? {
    let own = arguments.prefix { $0 != "--" }
    if let index = own.lastIndex(of: "--mount"), index + 1 < own.endIndex { return own[index + 1] }
    return own.last { $0.hasPrefix("--mount=") }.map { String($0.dropFirst("--mount=".count)) }
  }

  /// The advice as a phrase that fits behind `try:`.
  ///
  /// - Parameters:
  ///   - mount: the reservoir's mount, if the user named it.
  ///   - user: geteuid(2) of the user who gets it; 0 needs no sudo.
  static func text(
    _ advice: Advice, canWait: Bool = true, mount: String? = nil, user: UInt32 = geteuid()
  ) -> String {
    let commands = Commands(user: user)
    func reservoir(_ command: String, _ words: String = "") -> String {
      "holdfast reservoir " + command + (mount.map { " --mount " + Commands.quoted($0) } ?? "")
        + words
    }
    return switch advice {
    case .requestLess(let size): "less than \(rounded(size))"
    case .requestAtLeast(let size): "at least \(size.shortDescription)"
    case .fill(let size, let node):
      (canWait ? "--wait <seconds>, or: " : "")
        + reservoir(
          "fill 1x\(size.shortDescription)", node.map { " --host-numa-node \($0)" } ?? "")
    case .reserveHugePages(let goals): poolText(goals, commands)
    case .reserveAtBoot, .enlargeArena, .enableDemandPaging, .raiseLimit, .upgradeKernel, .retry,
      .wait, .other:
      advice.description
    case .useBacking(let backings): "--backing " + list(backings.map(\.rawValue))
    case .set(let path, let value): commands.write(value, to: path)
    case .run(let words, let needsRoot):
      runText(words.map(Commands.quoted).joined(separator: " "), needsRoot, commands)
    case .becomeRoot: user == 0 ? rootOfHost : "sudo"
    case .useService: "start the service as root: holdfast reservoir serve"
    case .joinGroup: user == 0 ? rootOfHost : "sudo, or join the group that may lease"
    case .chooseReservoir(let mounts):
      "--mount " + (mounts.isEmpty ? "<folder>" : list(mounts.map(Commands.quoted)))
    case .keepOwner(let owner):
      "--owner \(owner), or release all leases and run: " + commands.asRoot(reservoir("drain"))
    case .createReservoir(let other):
      commands.asRoot(
        "holdfast reservoir init"
          + ((other ?? mount).map { " --mount " + Commands.quoted($0) } ?? ""))
    case .inspectAndRemove(let path):
      "inspect \(Commands.quoted(path)) and remove it" + (user == 0 ? "" : " as root")
    case .useAnotherName: "another --name"
    case .release(let lease):
      "another --name, or: " + reservoir("release \(Commands.quoted(lease))")
    case .listLeases:
      reservoir("status --leases")
        + (user == 0 ? ", and --user <user> for another user's lease" : "")
    }
  }

  /// For what root lacks: a container's root cannot do all that the host's can.
  private static let rootOfHost = "as root of the host, outside of a container"

  private static func runText(_ command: String, _ needsRoot: Bool, _ commands: Commands) -> String
  {
    needsRoot ? commands.asRoot(command) : command
  }

  private static func poolText(
    _ goals: [Advice.HugePageGoal], _ commands: Commands
  ) -> String {
    (goals.contains { $0.isOutsideContainer } ? "on the host, outside of the container: " : "")
      + goals.map { commands.write($0.count, to: $0.path) }.joined(separator: " && ")
  }

  /// A size that is no larger and easy to read: in whole MiB unless it is exact in a larger unit.
  private static func rounded(_ size: ByteCount) -> String {
    size < .mebibytes(1)
      ? size.shortDescription : size.roundedDown(to: .mebibytes(1)).shortDescription
  }

  /// `a`, `a or b`, `a, b or c`.
  private static func list(_ words: [String]) -> String {
    guard words.count > 1, let last = words.last else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
  }
}
