internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux

/// An error's advice in the program's own words: options and commands that a person can type.
enum AdviceText {
  /// The line of an error: what is wrong, and what to do.
  static func line(_ error: HoldfastError) -> String {
    error.statement + (error.advice.map { "; try: \(text($0))" } ?? "")
  }

  /// The advice for a user who is root or not.
  static func text(_ advice: Advice, user: UInt32 = geteuid()) -> String {
    let commands = Commands(user: user)
    return switch advice {
    case .requestLess(let size): "less than \(size.rawValue >> 20)M"
    case .requestAtLeast(let size): size.shortDescription
    case .fill(let size, let node):
      "--wait <seconds>, or: holdfast reservoir fill 1x\(size.shortDescription)"
        + (node.map { " --host-numa-node \($0)" } ?? "")
    case .reserveHugePages(let goals): poolText(goals, commands)
    case .useBacking(let backings):
      "--backing " + list(backings.map(\.rawValue))
    case .set(let path, let value): commands.write(value, to: path)
    case .run(let words, let asRoot):
      runText(words.map(Commands.quoted).joined(separator: " "), asRoot, commands)
    case .becomeRoot: "sudo"
    case .joinGroup: "sudo, or membership of the group that may lease"
    case .chooseReservoir(let mounts): "--mount " + list(mounts)
    case .keepOwner(let owner, let group):
      "--owner \(owner)" + (group.map { " --group \($0)" } ?? " without --group")
        + ", or first: holdfast reservoir drain, and release all leases"
    case .createReservoir(let mount):
      commands.asRoot(
        "holdfast reservoir init" + (mount.map { " --mount " + Commands.quoted($0) } ?? ""))
    case .release(let lease):
      "another name, or: holdfast reservoir release \(Commands.quoted(lease))"
    case .listLeases:
      "holdfast reservoir status --leases"
        + (user == 0 ? ", and --user for another user's" : "")
    case .retry, .wait, .reserveAtBoot, .enlargeArena, .enableDemandPaging, .raiseLimit,
      .upgradeKernel, .useAnotherName, .inspectAndRemove, .other:
      advice.description
    }
  }

  private static func runText(_ command: String, _ asRoot: Bool, _ commands: Commands) -> String {
    asRoot ? commands.asRoot(command) : command
  }

  private static func poolText(
    _ goals: [Advice.HugePageGoal], _ commands: Commands
  ) -> String {
    (goals.contains { $0.isOutsideContainer } ? "on the host, outside of the container: " : "")
      + goals.map { commands.write($0.count, to: $0.path) }.joined(separator: " && ")
  }

  /// `a`, `a or b`, `a, b or c`.
  private static func list(_ words: [String]) -> String {
    guard words.count > 1, let last = words.last else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
  }
}
