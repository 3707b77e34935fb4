internal import ArgumentParser

/// `holdfast reservoir`, which only knows its subcommands.
struct ReservoirCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reservoir",
    abstract: "Keep memory ready for any monitor: brought in, zero, leased in microseconds.",
    discussion: """
      Ready memory is files on hugetlbfs, below <mount>/holdfast: filling, ready, leased. To lease is \
      to rename, so no program has to run, and two leasers never get the same file. Begin as root \
      with `holdfast reservoir init` and `holdfast reservoir fill 4x2G --reserve-hugepages`; then \
      `holdfast run -m 2G -- qemu-system-x86_64 ...`, or `holdfast reservoir lease` and `release`.

      Commands may be killed at any time. What they leave, `holdfast reservoir gc` takes away: files \
      being filled, and the memory of `holdfast run` once the monitor is dead too. A lease made by \
      `lease` belongs to no process: it lasts until `release`, `recycle` or `gc --older-than`.
      """,
    subcommands: [
      ReservoirInitCommand.self,
      ReservoirFillCommand.self,
      ReservoirLeaseCommand.self,
      ReservoirReleaseCommand.self,
      ReservoirRecycleCommand.self,
      ReservoirCollectCommand.self,
      ReservoirStatusCommand.self,
      ReservoirDrainCommand.self,
      ReservoirServeCommand.self,
    ])
}
