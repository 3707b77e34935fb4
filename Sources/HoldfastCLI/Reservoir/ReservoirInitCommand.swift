internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir

/// `holdfast reservoir init`.
struct ReservoirInitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Find or mount hugetlbfs and create the reservoir's folders on it.",
    usage: "holdfast reservoir init [--group <group>] [<options>]",
    discussion: """
      Uses a mounted hugetlbfs with the page size to which only root or you may write, and says \
      why it took that one: it has a reservoir, its pool has pages, or its pages have the default \
      size, in this order. Where none suits, or all pools but that of 2M are empty, it mounts one, \
      which needs root. The command is safe to repeat: existing folders keep their \
      contents, and their group unless you name another. The owner can change only while nothing \
      is ready or leased; restart a running service afterwards.

      Only the owner and root can change the folders. With --group, the members of the group can \
      lease from the service (`holdfast reservoir serve`, which must run as root). A lease becomes \
      a file of the member, which only that user and root can open. They do not have to be \
      trusted: what a member had is never used again, but returned to the host.
      """)

  @Option(
    help: ArgumentHelp(
      "Where hugetlbfs is or will be mounted. For tests, a folder on tmpfs works too, without "
        + "--hugepage-size. (default: the best mount found, or else /run/holdfast/hugepages-2M)",
      valueName: "folder"))
  var mount: String?

  @Option(
    help: ArgumentHelp("The huge page size. (default: 2M for a new mount)", valueName: "size"))
  var hugepageSize: HugePageSize?

  @Option(help: "The user who fills and recycles, by name or number. (default: the caller)")
  var owner: String?

  @Option(
    help: ArgumentHelp(
      "The group whose members may lease from the service, by name or number. (default: "
        + "unchanged, or none)"))
  var group: String?

  @OptionGroup var output: FormatOptions

  func run() throws {
    let owner = try owner.map { try Accounts.userNumber($0) }
    let group = try group.map { try Accounts.groupNumber($0) }
    let (mount, isNew, reason) = try ReservoirMounts.prepare(
      path: mount.map(absolute), pageSize: hugepageSize?.bytes)
    let reservoir = try Reservoir.create(mount: mount, owner: owner, group: group)
    try output.write(
      Result(
        path: reservoir.path, mount: mount, mountReason: reason, isNewMount: isNew,
        pageBytes: reservoir.pageSize,
        isHugetlb: reservoir.isHugetlb, owner: reservoir.owner, group: reservoir.group),
      text: "\(reservoir.path): \(reservoir.pageSize) pages"
        + (reservoir.isHugetlb ? "" : " on tmpfs") + (isNew ? ", newly mounted" : "")
        + ", owner \(reservoir.owner), "
        + (reservoir.group.map { "group \($0) may lease" } ?? "no group may lease") + "\n"
        + (reason.map { "chosen: \($0)\n" } ?? ""))
  }

  private struct Result: Encodable {
    let path: String
    let mount: String
    /// Why this mount was chosen, or nil if it was named.
    let mountReason: String?
    let isNewMount: Bool
    let pageBytes: ByteCount
    let isHugetlb: Bool
    let owner: UInt32
    let group: UInt32?
  }
}
