internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir

/// `holdfast reservoir init`.
struct ReservoirInitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Find or mount hugetlbfs and make the reservoir's folders there.",
    usage: "holdfast reservoir init [--group <group>] [<options>]",
    discussion: """
      Takes the first mounted hugetlbfs of the page size, or mounts one; mounting needs root. It is \
      safe to repeat: folders that are there keep what is in them, and their group where none is \
      named. Another owner or group can be set once nothing is ready or leased; a service that runs \
      is then to be started again.

      Without --group only the owner and root can lease, and nobody else gets into the folder. With \
      it the group's members can, each into a folder of his own that only he and root can enter. \
      Members are trusted so far: one of them could take what is ready away, or open a file before \
      another leases it. Leases by the owner and by root are proven to be open nowhere else.
      """)

  @Option(
    help: ArgumentHelp(
      "Where hugetlbfs is mounted, or is to be. A folder on tmpfs will do for tests, without "
        + "--hugepage-size. (default: found, else /run/holdfast/hugepages-2M)",
      valueName: "folder"))
  var mount: String?

  @Option(help: ArgumentHelp("The size of huge pages, 2M or 1G. (default: 2M for a new mount)"))
  var hugepageSize: HugePageSize?

  @Option(help: "Who fills and recycles, by name or number. (default: the caller)")
  var owner: String?

  @Option(
    help: "Whose members may lease, by name or number. (default: as it is, nobody's at first)")
  var group: String?

  @OptionGroup var output: FormatOptions

  func run() throws {
    let owner = try owner.map { try userNumber($0) }
    let group = try group.map { try groupNumber($0) }
    let (mount, isNew) = try ReservoirMounts.prepare(
      path: mount.map(absolute), pageSize: hugepageSize?.bytes)
    let reservoir = try Reservoir.create(mount: mount, owner: owner, group: group)
    switch output.format {
    case .text:
      try Output.write(
        "\(reservoir.path): pages of \(reservoir.pageSize)"
          + (reservoir.isHugetlb ? "" : " on tmpfs") + (isNew ? ", newly mounted" : "")
          + ", owner \(reservoir.owner), "
          + (reservoir.group.map { "group \($0) may lease" } ?? "nobody else may lease") + "\n")
    case .json:
      try Output.write(
        json(
          Result(
            path: reservoir.path, mount: mount, isNewMount: isNew, pageBytes: reservoir.pageSize,
            isHugetlb: reservoir.isHugetlb, owner: reservoir.owner, group: reservoir.group)))
    }
  }

  private struct Result: Encodable {
    let path: String
    let mount: String
    let isNewMount: Bool
    let pageBytes: ByteCount
    let isHugetlb: Bool
    let owner: UInt32
    let group: UInt32?
  }
}

/// Sizes of huge pages.
enum HugePageSize: String, CaseIterable, ExpressibleByArgument {
  case twoMebibytes = "2M"
  case oneGibibyte = "1G"

  var bytes: ByteCount { self == .twoMebibytes ? .mebibytes(2) : .gibibytes(1) }
}
