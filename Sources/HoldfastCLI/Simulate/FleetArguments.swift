internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastSimulation

/// The options of `holdfast simulate --fleet`.
struct FleetArguments: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Simulate so many hosts with reservoirs, and a scheduler that places guests on them.",
      valueName: "hosts"),
    transform: { try wholeNumber($0, in: 1...100_000) })
  var fleet: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The NUMA nodes of each host of a fleet. A guest lies on one. (default: 2)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...64) })
  var numaNodes: Int?

  @Option(
    help: ArgumentHelp(
      "Where a fleet's scheduler places a guest: first-fit, best-fit by NUMA node, or spread. "
        + "(default: best-fit)",
      valueName: "policy"))
  var placement: PlacementOption?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "What each host of a fleet keeps ready, such as 4x2G. Can be repeated. (default: nothing)",
      valueName: "count>x<size"),
    transform: { try fleetLevel($0) })
  var level: [FleetOptions.Level] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How much memory a host of a fleet makes ready in a second. (default: 4G)",
      valueName: "size"),
    transform: { try Size($0) })
  var fillRate: Size?

  @Option(
    help: ArgumentHelp(
      "Write the levels that each host would need for 99 of 100 guests to find ready memory, as a "
        + "ConfigMap of Kubernetes with the service's configuration.",
      valueName: "file"))
  var suggestLevels: String?

  /// Checks that the options fit together.
  ///
  /// - Parameter others: options of a single host, and whether they were given.
  func check(others: [(isGiven: Bool, name: String)], memory: ByteCount) throws {
    guard fleet != nil else {
      for (isGiven, name) in [
        (numaNodes != nil, "--numa-nodes"), (placement != nil, "--placement"),
        (!level.isEmpty, "--level"), (fillRate != nil, "--fill-rate"),
        (suggestLevels != nil, "--suggest-levels"),
      ] where isGiven {
        throw ValidationError("'\(name)' needs '--fleet <hosts>'")
      }
      return
    }
    for other in others where other.isGiven {
      throw ValidationError("'--fleet' and '\(other.name)' cannot be combined")
    }
    if let fillRate, fillRate.bytes == .zero {
      throw ValidationError("'--fill-rate' must not be 0")
    }
    let share = memory.rawValue / UInt64(numaNodes ?? 2)
    for level in level where level.size.rawValue > share {
      throw ValidationError(
        "'--level' has files of \(level.size), and a NUMA node has \(ByteCount(share))")
    }
  }

  /// The fleet of these options.
  func options(hosts: Int, memory: ByteCount, _ guests: SimulationOptions) -> FleetOptions {
    var options = FleetOptions(hosts: hosts, memory: memory, guests: guests)
    if let numaNodes { options.nodes = numaNodes }
    if let placement { options.placement = placement.placement }
    options.levels = level
    if let fillRate { options.fillRate = fillRate.bytes }
    return options
  }
}

/// What `--placement` takes.
enum PlacementOption: String, CaseIterable, ExpressibleByArgument {
  case firstFit = "first-fit"
  case bestFit = "best-fit"
  case spread

  var placement: FleetOptions.Placement {
    switch self {
    case .firstFit: .firstFit
    case .bestFit: .bestFit
    case .spread: .spread
    }
  }
}

/// Reads `4x2G`.
func fleetLevel(_ text: String) throws -> FleetOptions.Level {
  let halves = text.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
  guard halves.count == 2, let count = Int(halves[0]), (1...65_536).contains(count) else {
    throw Size.Problem(description: "'\(text)' is not a number of files and a size, such as 4x2G")
  }
  let size = try Size(String(halves[1])).bytes
  guard size > .zero, size.isMultiple(of: .mebibytes(2)) else {
    throw Size.Problem(description: "the size of '\(text)' is not a multiple of 2 MiB")
  }
  return FleetOptions.Level(count: count, size: size)
}
