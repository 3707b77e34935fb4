internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import HoldfastCore
internal import HoldfastReservoir

/// The reservoir that a command uses.
struct ReservoirOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The hugetlbfs mount with the reservoir, or for tests a folder on tmpfs. (default: the only "
        + "mount with a reservoir)",
      valueName: "folder"))
  var mount: String?

  /// The reservoir by its folders, for the owner and root.
  func reservoir() throws -> Reservoir {
    try Reservoir(mount: try mount.map(absolute) ?? ReservoirMounts.only())
  }
}

/// The reservoir that a command of any user uses.
struct ReservoirAccessOptions: ParsableArguments {
  @OptionGroup var place: ReservoirOptions

  @Option(
    help: ArgumentHelp(
      "The socket of the reservoir's service, for users who do not own the reservoir. (default: "
        + "'socket' in its folder, or /run/holdfast/reservoir.sock)",
      valueName: "path"))
  var socket: String?

  func access() throws -> ReservoirAccess {
    try ReservoirAccess(mount: place.mount.map(absolute), socket: socket.map(absolute))
  }
}

/// The lease that a command ends.
struct LeaseOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The name of the lease.", valueName: "name"),
    transform: { try leaseName($0) })
  var name: LeaseName

  @Option(
    help: ArgumentHelp("The lease's user, by name or number; for root. (default: yourself)"))
  var user: String?

  func number() throws -> UInt32? { try user.map { try Accounts.userNumber($0) } }
}

/// A path that does not depend on where the program was started.
func absolute(_ path: String) -> String {
  var path = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  while path.count > 1, path.hasSuffix("/") { path.removeLast() }
  return path
}

/// Reads a lease's name; throws the error type that the parser prints.
func leaseName(_ text: String) throws -> LeaseName {
  do throws(HoldfastError) {
    return try LeaseName(text)
  } catch {
    throw Size.Problem(description: error.reason)
  }
}

/// Reads a time as people type it; throws the error type that the parser prints.
func span(_ text: String) throws -> Duration { try Duration(typed: text) }
