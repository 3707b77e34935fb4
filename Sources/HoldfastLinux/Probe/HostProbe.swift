internal import HoldfastCore
internal import SystemPackage

/// Finds out what this host offers for the memory of virtual machines.
///
/// Probing reads the kernel's files and makes a few system calls; it changes nothing and leaves no
/// descriptor open. It never fails: unknown values are nil in ``HostCapabilities``.
public struct HostProbe: Sendable {
  let files: HostFiles
  let system: HostSystem

  /// Creates a probe of the files under `root`, which is `/` for this host.
  public init(root: String = "/") {
    self.init(root: root, system: .live)
  }

  /// Creates a probe of the files under `root` that makes its system calls through `system`.
  package init(root: String, system: HostSystem) {
    files = HostFiles(root: root)
    self.system = system
  }

  /// Probes the host. Takes some milliseconds, more with hundreds of NUMA nodes.
  public func host() -> HostCapabilities {
    let memoryInformation = HostParsers.memory(files.text("/proc/meminfo") ?? "")
    let cgroups = CgroupFiles(files: files)
    let usable = system.usableProcessors()
    let processors = processors(usable: usable?.count)
    let sizes = files.hugePageSizes()
    let pageSize = system.pageSize()
    let nodes = nodes(hugePageSizes: sizes, usableProcessors: usable)
    let memory = memory(memoryInformation, nodes)
    return HostCapabilities(
      processors: processors,
      memory: memory,
      cgroup: HostCapabilities.Cgroup(
        memory: cgroups.memoryLimit(), processors: cgroups.processorQuota()),
      pageSize: pageSize == .zero ? nil : pageSize,
      hugePages: sizes.map { size in
        var pages = files.hugePages(of: size)
        pages.cgroup = cgroups.hugePagesLimit(size: size)
        pages.surplusRoom = surplusRoom(pages, memory)
        return pages
      },
      defaultHugePageSize: memoryInformation["Hugepagesize"],
      transparentHugePages: transparentHugePages(),
      userFault: userFault(),
      privileges: privileges(),
      kvm: kvm(vendor: processors.vendor),
      nodes: nodes,
      maximumMapCount: files.number("/proc/sys/vm/max_map_count"),
      overcommit: overcommit())
  }

  /// The memory by /proc/meminfo or, where that is missing, as in a /proc that shows processes only
  /// (`subset=pid`), by the files of the nodes and by sysinfo(2), which does not count page cache.
  private func memory(
    _ information: [String: ByteCount], _ nodes: [HostCapabilities.Node]
  ) -> HostCapabilities.Memory {
    let asked = information["MemFree"] == nil ? system.memory() : nil
    let estimates = nodes.compactMap(\.available)
    let sum = estimates.reduce(ByteCount.zero) { $0 + $1 }
    return HostCapabilities.Memory(
      total: information["MemTotal"] ?? asked?.total, free: information["MemFree"] ?? asked?.free,
      available: information["MemAvailable"]
        ?? (asked == nil || sum == .zero ? asked?.available : sum))
  }

  /// The surplus pages that a pool may still get, which the kernel takes from available memory.
  private func surplusRoom(
    _ pages: HostCapabilities.HugePages, _ memory: HostCapabilities.Memory
  ) -> PageCount? {
    guard let most = pages.overcommit?.rawValue, pages.size != .zero else { return nil }
    let room = most - min(most, (pages.surplus ?? .zero).rawValue)
    guard let available = memory.available ?? memory.free else { return PageCount(room) }
    return PageCount(min(room, available.rawValue / pages.size.rawValue))
  }

  private func processors(usable: Int?) -> HostCapabilities.Processors {
    // The first processor's lines are enough; the whole file is long on a large host.
    let text = files.text("/proc/cpuinfo", limit: 1 << 14) ?? ""
    // Without any range the file is missing or does not parse.
    let online = files.text("/sys/devices/system/cpu/online").map(HostParsers.ranges) ?? []
    let count = online.reduce(0) { $0 + Int($1.upperBound - $1.lowerBound) + 1 }
    return HostCapabilities.Processors(
      model: HostParsers.field("model name", in: text).map { HostParsers.printable($0) },
      vendor: HostParsers.field("vendor_id", in: text).map { HostParsers.printable($0) },
      online: count == 0 ? nil : count,
      usable: usable)
  }

  private func transparentHugePages() -> HostCapabilities.TransparentHugePages {
    let directory = "/sys/kernel/mm/transparent_hugepage/"
    func mode(_ name: String) -> String? {
      files.text(directory + name, limit: 256).flatMap(HostParsers.chosen).map(String.init)
    }
    let size = files.number(directory + "hpage_pmd_size").map { ByteCount($0) }
    /// The setting of this size of huge pages (Linux 6.8, 6.10 for shared memory), or nil where
    /// that for all sizes decides.
    func own(_ name: String) -> (path: String, mode: String)? {
      let path = "hugepages-\((size ?? .mebibytes(2)).rawValue / 1024)kB/" + name
      guard let mode = mode(path), mode != "inherit" else { return nil }
      return (directory + path, mode)
    }
    var pages = HostCapabilities.TransparentHugePages(
      privateMemory: mode("enabled").flatMap { .init(rawValue: $0) },
      sharedMemory: mode("shmem_enabled").flatMap { .init(rawValue: $0) },
      size: size, isDisabledForProcess: isHugePageDisabled())
    if let (path, mode) = own("enabled") {
      pages.privateMemory = .init(rawValue: mode)
      pages.privateMemoryPath = path
    }
    if pages.sharedMemory != .deny, let (path, mode) = own("shmem_enabled") {
      // `force` is for the sizes that inherit it.
      pages.sharedMemory = pages.sharedMemory == .force ? .never : .init(rawValue: mode)
      pages.sharedMemoryPath = path
    }
    return pages
  }

  /// Whether PR_SET_THP_DISABLE denies this process huge pages, also for memory that asks for them.
  private func isHugePageDisabled() -> Bool? {
    if case .success(let flags) = system.hugePageDisable() { return flags & 0b11 == 0b01 }
    // A filter forbids prctl(2).
    return HostParsers.field("THP_enabled", in: files.text("/proc/self/status") ?? "").flatMap {
      $0 == "0" ? true : $0 == "1" ? false : nil
    }
  }

  private func overcommit() -> HostCapabilities.Overcommit? {
    switch files.number("/proc/sys/vm/overcommit_memory") {
    case 0: .heuristic
    case 1: .always
    case 2: .never
    default: nil
    }
  }
}

extension HostProbe {
  /// The online nodes, in ascending order.
  func nodes(hugePageSizes: [ByteCount], usableProcessors: [UInt32]?) -> [HostCapabilities.Node] {
    let directory = "/sys/devices/system/node/"
    // The kernel supports at most 1,024 nodes.
    let online = (files.text(directory + "online", limit: 4096).map(HostParsers.numbers) ?? [])
      .filter { $0 < 1024 }
    let status = files.text("/proc/self/status") ?? ""
    // A kernel without cpusets has no such line, and allows all nodes.
    let allowed = HostParsers.field("Mems_allowed_list", in: status).map {
      Set(HostParsers.numbers(String($0)))
    }
    return online.map { id in
      let node = directory + "node\(id)/"
      let memory = HostParsers.memory(files.text(node + "meminfo") ?? "")
      let processors = files.text(node + "cpulist").map { HostParsers.numbers($0) } ?? []
      let distances = (files.text(node + "distance") ?? "").split(whereSeparator: \.isWhitespace)
        .map { Int($0) ?? -1 }
      let isSound = distances.count == online.count && distances.allSatisfy { $0 > 0 }
      return HostCapabilities.Node(
        id: NodeID(id), total: memory["MemTotal"], free: memory["MemFree"],
        available: HostProbe.available(memory),
        hugePages: hugePageSizes.compactMap { size in
          let counts = files.hugePages(of: size, node: id)
          return counts.free.map { .init(size: size, total: counts.total, free: $0) }
        },
        processors: processors,
        usableProcessors: usableProcessors.map { usable in
          processors.filter(Set(usable).contains)
        } ?? processors,
        distances: isSound ? distances : [],
        isAllowed: allowed?.contains(id) ?? true)
    }
  }

  /// An estimate of a node's memory available without swapping.
  static func available(_ memory: [String: ByteCount]) -> ByteCount? {
    guard let free = memory["MemFree"] else { return nil }
    let cache = ["Active(file)", "Inactive(file)"].compactMap { memory[$0]?.rawValue }
    // Not all of the page cache can be reclaimed at once.
    return ByteCount(cache.reduce(free.rawValue) { $0.saturatingSum($1 / 2) })
  }
}

extension HostFiles {
  /// `hugepages/hugepages-2048kB`, below /sys/kernel/mm or a node.
  static func hugePagesPath(of size: ByteCount) -> String {
    "hugepages/hugepages-\(size.rawValue / 1024)kB"
  }

  /// The sizes of huge pages that the kernel supports, smallest first.
  func hugePageSizes() -> [ByteCount] {
    names(in: "/sys/kernel/mm/hugepages").compactMap(HostParsers.hugePageSize(directory:)).sorted()
  }

  /// The folder with the counts of one pool: the host's, or the part of it on one node.
  static func poolDirectory(of size: ByteCount, node: UInt32? = nil) -> String {
    (node.map { "/sys/devices/system/node/node\($0)/" } ?? "/sys/kernel/mm/")
      + hugePagesPath(of: size)
  }

  /// The counts of one pool, without the cgroup's limit. For a node's part the kernel reports only
  /// all pages, the free and the surplus ones.
  func hugePages(of size: ByteCount, node: UInt32? = nil) -> HostCapabilities.HugePages {
    let directory = HostFiles.poolDirectory(of: size, node: node)
    func count(_ name: String) -> PageCount? {
      number("\(directory)/\(name)_hugepages").map { PageCount($0) }
    }
    return HostCapabilities.HugePages(
      size: size, total: count("nr"), free: count("free"), reserved: count("resv"),
      surplus: count("surplus"), overcommit: count("nr_overcommit"))
  }
}
