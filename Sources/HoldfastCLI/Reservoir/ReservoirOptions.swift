internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import HoldfastCore
internal import HoldfastReservoir

/// Which reservoir.
struct ReservoirOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The hugetlbfs with the reservoir, or a folder on tmpfs, for tests. (default: the only mount "
        + "that has one)",
      valueName: "folder"))
  var mount: String?

  func reservoir() throws -> Reservoir {
    try Reservoir(mount: try mount.map(absolute) ?? ReservoirMounts.only())
  }
}

/// Whose lease.
struct LeaseOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The lease's name.", valueName: "name"),
    transform: { try leaseName($0) })
  var name: LeaseName

  @Option(
    help: ArgumentHelp("Whose lease it is, by name or number, for root. (default: your own)"))
  var user: String?

  func number() throws -> UInt32? { try user.map { try userNumber($0) } }
}

/// A path that does not depend on where the program was started.
func absolute(_ path: String) -> String {
  var path = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  while path.count > 1, path.hasSuffix("/") { path.removeLast() }
  return path
}

/// A lease's name, or why it is none, as the parser wants to hear it.
func leaseName(_ text: String) throws -> LeaseName {
  do throws(HoldfastError) {
    return try LeaseName(text)
  } catch {
    throw Size.Problem(description: error.reason)
  }
}

/// A time as people type it, as the parser wants to hear of a bad one.
func span(_ text: String) throws -> Duration { try Duration(typed: text) }
