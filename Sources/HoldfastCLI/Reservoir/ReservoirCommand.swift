internal import ArgumentParser

/// `holdfast reservoir`; its subcommands do the work.
struct ReservoirCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reservoir",
    abstract: "Keep populated, zeroed memory ready that monitors lease in microseconds.",
    discussion: """
      Ready memory consists of files on hugetlbfs in the folders filling, ready and leased of \
      <mount>/holdfast. A lease renames a file, so no two leases get the same file. The owner and \
      root need no service for it; other users lease from `holdfast reservoir serve`. Begin as root with `holdfast reservoir init` and `holdfast reservoir fill 4x2G \
      --reserve-hugepages`; then use `holdfast run -m 2G -- qemu-system-x86_64 ...`, or `holdfast \
      reservoir lease` and `release`.

      Commands may be killed at any time. `holdfast reservoir gc` collects what they leave: files \
      that were being filled, and the memory of `holdfast run` once the monitor has ended too. A \
      lease made by `lease` belongs to no process; it lasts until `release`, `recycle` or `gc \
      --older-than`.
      """,
    subcommands: [
      ReservoirInitCommand.self,
      ReservoirFillCommand.self,
      ReservoirLeaseCommand.self,
      ReservoirReleaseCommand.self,
      ReservoirRecycleCommand.self,
      ReservoirCollectCommand.self,
      ReservoirStatusCommand.self,
      ReservoirTopCommand.self,
      ReservoirDrainCommand.self,
      ReservoirServeCommand.self,
    ])
}
