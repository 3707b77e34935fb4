internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastKVM
internal import HoldfastLinux

/// What `holdfast probe` will allocate from this host.
struct ProbePlan {
  /// The arena and the huge pages for it.
  let wire: WirePlan
  /// The layout of the guest's memory.
  let layout: RAMLayout
  let backing: Backing
  /// Whether page faults can be served, and so counted.
  let countsFaults: Bool

  /// Fails if the host cannot run the guest, before any work is done.
  static func check(_ host: HostCapabilities, _ mode: ProbeMode) throws(HoldfastError) {
    guard host.kvm.isUsable else {
      throw HoldfastError(
        .unsupported, operation: "run a guest", reason: host.kvm.problem ?? "/dev/kvm is unusable",
        advice: .other(host.kvm.remedy ?? "a host with KVM, or holdfast wire, which needs none"))
    }
    guard mode.needsPaging, !host.userFault.isComplete else { return }
    throw HoldfastError(
      .unsupported, operation: "serve a guest's page faults",
      reason: host.userFault.problem
        ?? "the kernel's userfaultfd lacks "
        + host.userFault.missingFeatures.joined(separator: ", "),
      advice: .other(host.userFault.remedy ?? "Linux 6.4 or newer, or --mode wired"))
  }

  init(
    _ host: HostCapabilities, _ options: MemoryOptions, _ mode: ProbeMode
  ) throws {
    // Both sides of a fork write to all of their memory.
    let copies: UInt64 = mode == .fork ? 2 : 1
    let wanted = options.memory?.bytes
    if options.memory == nil || options.reserveHugepages || options.backing != .auto {
      let first = try options.plan(
        memory: wanted.map { ByteCount($0.rawValue.saturatingProduct(copies)) })
      let backing =
        first.backing ?? Self.backing(for: first.memory, on: host.confined(to: first.nodes), mode)
      let page = max(backing.geometry.pageSize, wanted == nil ? .mebibytes(2) : .zero)
      let guest = wanted ?? ByteCount(first.memory.rawValue / copies).roundedDown(to: page)
      try self.init(host, options, max(guest, page), copies, backing)
    } else {
      let total = ByteCount((wanted ?? .zero).rawValue.saturatingProduct(copies))
      let plan = try options.plan(memory: total)
      let backing = Self.backing(for: total, on: host.confined(to: plan.nodes), mode)
      try self.init(host, options, wanted ?? .zero, copies, backing)
    }
  }

  private init(
    _ host: HostCapabilities, _ options: MemoryOptions, _ guest: ByteCount, _ copies: UInt64,
    _ backing: Backing
  ) throws {
    guard guest.isMultiple(of: backing.geometry.pageSize) else {
      throw ValidationError(
        "'--memory' of \(guest) is not a multiple of the page size \(backing.geometry.pageSize) of "
          + "\(backing.rawValue)")
    }
    layout = try RAMLayout(size: guest)
    self.backing = backing
    countsFaults = host.userFault.isComplete && backing.hasFile
    // A guest that is placed in the arena's own mapping needs memory for the hole in its addresses
    // too.
    let total = backing.hasFile ? ByteCount(guest.rawValue.saturatingProduct(copies)) : layout.limit
    wire = try WirePlan(
      host, memory: total, backing: BackingOption(argument: backing.rawValue) ?? .auto,
      nodes: options.nodes, reserve: options.reserveHugepages)
  }

  /// The best backing with a file that has room: private memory supports neither the hole below 4
  /// GiB nor demand paging.
  private static func backing(
    for size: ByteCount, on host: HostCapabilities, _ mode: ProbeMode
  ) -> Backing {
    for backing in mode.needsPaging ? [Backing.hugetlb2M] : [.hugetlb1G, .hugetlb2M] {
      guard let page = backing.hugePageSize, size.isMultiple(of: page) else { continue }
      // Each half of a fork is whole pages too.
      if mode == .fork, !size.isMultiple(of: page + page) { continue }
      let pool = host.hugePages.first { $0.size == page }
      if let pool, pool.availableBytes >= size { return backing }
    }
    return host.transparentHugePages.sharedMemory?.givesHugePages == true ? .thp : .base
  }
}
