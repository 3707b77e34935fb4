internal import HoldfastCore
internal import SystemPackage

/// Finds out what this host offers to virtual machines' memory.
///
/// Probing reads the kernel's files and asks a few system calls; it changes nothing and leaves no
/// descriptor open. It never fails: what cannot be found out is nil in the ``HostCapabilities``.
public struct HostProbe: Sendable {
  let files: HostFiles
  let system: HostSystem

  /// A probe of the files under `root`: `/` for this host.
  public init(root: String = "/") {
    self.init(root: root, system: .live)
  }

  /// A probe of the files under `root` that takes system calls' answers from `system`.
  package init(root: String, system: HostSystem) {
    files = HostFiles(root: root)
    self.system = system
  }

  /// Looks at the host. Takes some milliseconds, more with hundreds of NUMA nodes.
  public func host() -> HostCapabilities {
    let memoryInformation = HostParsers.memory(files.text("/proc/meminfo") ?? "")
    let cgroups = CgroupFiles(files: files)
    let usable = system.usableProcessors()
    let processors = processors(usable: usable?.count)
    let sizes = files.hugePageSizes()
    let pageSize = system.pageSize()
    return HostCapabilities(
      processors: processors,
      memory: HostCapabilities.Memory(
        total: memoryInformation["MemTotal"], free: memoryInformation["MemFree"],
        available: memoryInformation["MemAvailable"]),
      cgroup: HostCapabilities.Cgroup(
        memory: cgroups.memoryLimit(), processors: cgroups.processorQuota()),
      pageSize: pageSize == .zero ? nil : pageSize,
      hugePages: sizes.map { size in
        var pages = files.hugePages(of: size)
        pages.cgroupRemaining = cgroups.hugePagesRemaining(size: size)
        return pages
      },
      defaultHugePageSize: memoryInformation["Hugepagesize"],
      transparentHugePages: transparentHugePages(),
      userFault: userFault(),
      privileges: privileges(),
      kvm: kvm(vendor: processors.vendor),
      nodes: nodes(hugePageSizes: sizes, usableProcessors: usable),
      maximumMapCount: files.number("/proc/sys/vm/max_map_count"),
      overcommit: overcommit())
  }

  private func processors(usable: Int?) -> HostCapabilities.Processors {
    // The first processor's lines suffice; the whole file is long on a large host.
    let text = files.text("/proc/cpuinfo", limit: 1 << 14) ?? ""
    // No ranges at all means that the file said nothing that can be understood.
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
    return HostCapabilities.TransparentHugePages(
      privateMemory: mode("enabled").flatMap { .init(rawValue: $0) },
      sharedMemory: mode("shmem_enabled").flatMap { .init(rawValue: $0) },
      size: files.number(directory + "hpage_pmd_size").map { ByteCount($0) })
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

extension HostFiles {
  /// `hugepages/hugepages-2048kB`, below /sys/kernel/mm or a node.
  static func hugePagesPath(of size: ByteCount) -> String {
    "hugepages/hugepages-\(size.rawValue / 1024)kB"
  }

  /// The sizes of huge pages that the kernel has, smallest first.
  func hugePageSizes() -> [ByteCount] {
    names(in: "/sys/kernel/mm/hugepages").compactMap(HostParsers.hugePageSize(directory:)).sorted()
  }

  /// Where the counts of one pool are: the host's, or the part of it that lies on one node.
  static func poolDirectory(of size: ByteCount, node: UInt32? = nil) -> String {
    (node.map { "/sys/devices/system/node/node\($0)/" } ?? "/sys/kernel/mm/")
      + hugePagesPath(of: size)
  }

  /// The counts of one pool; the cgroup's limit is left out. Of a node's part the kernel tells all
  /// pages, the free and the surplus ones.
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
