internal import HoldfastCore

/// Reads the limits of the cgroups that this process is in, from its own up to the root
/// (cgroups(7)).
///
/// Version 2 has one hierarchy; version 1 has one for each controller; a hybrid host has both.
/// Every limit up to the root applies, so the one that leaves the least counts.
struct CgroupFiles {
  /// The folders of one controller in one hierarchy, the process's own first.
  struct Hierarchy: Hashable {
    let isVersion2: Bool
    let directories: [String]
  }

  let files: HostFiles
  // The cgroups that the process's memory, processors and huge pages are charged to.
  let memory: [Hierarchy]
  private let processors: [Hierarchy]
  private let hugePages: [Hierarchy]
  // Whether huge pages also count towards the limits on memory, as systemd has it (Linux 6.7).
  private let memoryCountsHugePages: Bool

  init(files: HostFiles) {
    self.files = files
    let mounts = Mount.parse(files.text("/proc/self/mountinfo", limit: 1 << 22) ?? "")
    let membership = files.text("/proc/self/cgroup") ?? ""
    func find(_ controller: String) -> [Hierarchy] {
      CgroupFiles.hierarchies(of: controller, membership: membership, mounts: mounts) {
        CgroupSearch(files: files).directories(of: $1, in: $0)
      }
    }
    memoryCountsHugePages = mounts.contains {
      $0.type == "cgroup2" && $0.options.contains("memory_hugetlb_accounting")
    }
    memory = find("memory")
    processors = find("cpu")
    hugePages = find("hugetlb")
  }

  /// The hierarchies of a controller, from lines of /proc/self/cgroup such as `4:memory:/user`
  /// (version 1) and `0::/user` (version 2).
  ///
  /// - Parameter search: finds the folders of a cgroup in a mount from outside of the cgroup
  ///   namespace, which does not tell their names.
  static func hierarchies(
    of controller: String, membership: String, mounts: [Mount],
    search: (Mount, String) -> [String]? = { _, _ in nil }
  ) -> [Hierarchy] {
    membership.split(whereSeparator: \.isNewline).compactMap { line in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return nil }
      let isVersion2 = fields[0] == "0" && fields[1].isEmpty
      guard isVersion2 || fields[1].split(separator: ",").contains(controller[...]) else {
        return nil
      }
      let candidates = mounts.filter { mount in
        isVersion2
          ? mount.type == "cgroup2"
          : mount.type == "cgroup" && mount.options.contains(controller)
      }
      // A container may also have the host's tree, or another part of it, mounted elsewhere.
      let usual = candidates.filter { $0.point.hasPrefix("/sys/fs/cgroup") }
      let fallback = Mount(
        root: "/", point: isVersion2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/\(controller)")
      let mount =
        (usual + candidates).first { $0.contains(cgroup: String(fields[2])) } ?? usual.first
        ?? candidates.first ?? fallback
      let cgroup = String(fields[2])
      let found = mount.levelsAboveNamespace == nil ? nil : search(mount, cgroup)
      return Hierarchy(
        isVersion2: isVersion2, directories: found ?? mount.directories(upFrom: cgroup))
    }
  }

  /// The memory limit that leaves the least, or nil without a limit.
  func memoryLimit() -> HostCapabilities.Cgroup.MemoryLimit? { memoryLimit(memory) }

  private func memoryLimit(_ hierarchies: [Hierarchy]) -> HostCapabilities.Cgroup.MemoryLimit? {
    var tightest: HostCapabilities.Cgroup.MemoryLimit?
    for hierarchy in hierarchies {
      let names =
        hierarchy.isVersion2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"]
      for directory in hierarchy.directories {
        for name in names {
          guard let limit = limit("\(directory)/\(name)") else { continue }
          let used = memoryUsed(directory, isVersion2: hierarchy.isVersion2)
          let remaining = limit - min(limit, used)
          if let tightest, tightest.remaining <= remaining { continue }
          tightest = HostCapabilities.Cgroup.MemoryLimit(
            file: HostParsers.printable("\(directory)/\(name)"), limit: limit,
            remaining: remaining)
        }
      }
    }
    return tightest
  }

  /// The memory that a cgroup uses, not counting page cache that can be reclaimed.
  private func memoryUsed(_ directory: String, isVersion2: Bool) -> ByteCount {
    let file = isVersion2 ? "memory.current" : "memory.usage_in_bytes"
    let key = isVersion2 ? "inactive_file" : "total_inactive_file"
    let used = files.number("\(directory)/\(file)") ?? 0
    let statistics = files.text("\(directory)/memory.stat") ?? ""
    return ByteCount(used - min(used, HostParsers.statistic(key, in: statistics) ?? 0))
  }

  /// The smallest quota of processor time, in processors, or nil without a quota.
  func processorQuota() -> Double? {
    processors.flatMap { hierarchy in
      hierarchy.directories.compactMap { directory in
        let words =
          hierarchy.isVersion2
          ? (files.text("\(directory)/cpu.max", limit: 256) ?? "")
            .split(whereSeparator: \.isWhitespace).map { UInt64($0) }
          : [
            files.number("\(directory)/cpu.cfs_quota_us"),
            files.number("\(directory)/cpu.cfs_period_us"),
          ]
        guard words.count == 2, let quota = words[0], let period = words[1], period != 0 else {
          return nil
        }
        return Double(quota) / Double(period)
      }
    }.min()
  }

  /// The limit on huge pages of a size that leaves the least, or nil without a limit.
  func hugePagesLimit(size: ByteCount) -> HostCapabilities.Cgroup.MemoryLimit? {
    let name = "hugetlb." + CgroupFiles.hugePageName(size)
    var tightest = memoryCountsHugePages ? memoryLimit(memory.filter(\.isVersion2)) : nil
    for hierarchy in hugePages {
      // Reservations, by mmap(2), and pages, by faults, are charged separately.
      for prefix in [name, name + ".rsvd"] {
        for directory in hierarchy.directories {
          let file = "\(directory)/\(prefix)."
          let setting = file + (hierarchy.isVersion2 ? "max" : "limit_in_bytes")
          guard let limit = limit(setting) else { continue }
          let used = files.number(file + (hierarchy.isVersion2 ? "current" : "usage_in_bytes"))
          let remaining = limit - min(limit, ByteCount(used ?? 0))
          if let tightest, tightest.remaining <= remaining { continue }
          tightest = HostCapabilities.Cgroup.MemoryLimit(
            file: HostParsers.printable(setting), limit: limit, remaining: remaining)
        }
      }
    }
    return tightest
  }

  /// The number in a limit's file, or nil if it is missing, `max`, or so large that version 1 means
  /// no limit: the largest long, rounded down to a page.
  private func limit(_ file: String) -> ByteCount? {
    files.number(file).flatMap { $0 >= 1 << 62 ? nil : ByteCount($0) }
  }

  /// A size in the file names of the hugetlb controller: `64KB`, `2MB`, `1GB`.
  static func hugePageName(_ size: ByteCount) -> String {
    switch size.rawValue {
    case (1 << 30)...: "\(size.rawValue >> 30)GB"
    case (1 << 20)...: "\(size.rawValue >> 20)MB"
    default: "\(size.rawValue >> 10)KB"
    }
  }
}
