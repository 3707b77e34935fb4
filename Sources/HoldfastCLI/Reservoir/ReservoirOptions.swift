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
  do throws(ReservoirError) {
    return try LeaseName(text)
  } catch {
    throw Size.Problem(description: error.what)
  }
}

/// Files of a size, as people type them: `4x10G`, or `10G` for one.
struct FillPart: Hashable, Sendable {
  let part: FillPlan.Part

  init(_ text: String) throws(Size.Problem) {
    let parts = text.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
    var count = 1
    if parts.count == 2 {
      guard let number = UInt32(parts[0]), parts[0].allSatisfy(\.isWholeNumber),
        (1...65536).contains(number)
      else {
        throw Size.Problem(
          description: "a plan is a count from 1 to 65536 and a size, such as 4x10G")
      }
      count = Int(number)
    }
    part = FillPlan.Part(count: count, size: try Size(String(parts[parts.count - 1])).bytes)
  }
}

/// Seconds as people type them, with a unit if they like: `30`, `0.5`, `10m`, `2h`, `1d`.
func span(_ text: String) throws -> Duration {
  let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
  let unit = text.last.flatMap { units[$0] }
  let digits = unit == nil ? text[...] : text.dropLast()
  guard let number = Double(digits), digits.allSatisfy({ $0.isWholeNumber || $0 == "." }),
    number * (unit ?? 1) <= 1e9
  else {
    throw Size.Problem(
      description: "a time is a number of seconds, or has a unit, such as 30 or 10m")
  }
  return .milliseconds(Int64(number * (unit ?? 1) * 1000))
}

extension LeaseEnd {
  /// What became of a lease, as a sentence.
  var sentence: String {
    switch self {
    case .recycled(let size): "\(size) scrubbed and ready again."
    case .unlinked(let size, nil):
      "\(size) given back to the host, at the latest when nobody has it mapped any more."
    case .unlinked(let size, let reason?): "\(size) given back to the host: \(reason)."
    }
  }

  /// The same for programs.
  var result: LeaseEndResult {
    switch self {
    case .recycled(let size): LeaseEndResult(outcome: "recycled", sizeBytes: size, reason: nil)
    case .unlinked(let size, let reason):
      LeaseEndResult(outcome: "unlinked", sizeBytes: size, reason: reason)
    }
  }
}

/// What became of a lease, as JSON.
struct LeaseEndResult: Encodable {
  let outcome: String
  let sizeBytes: ByteCount
  let reason: String?
}
