internal import HoldfastCore

/// Reads the limits of the cgroups that this process is in, from its own up to the root.
///
/// Version 2 has one hierarchy; version 1 has one a controller; a hybrid host has both. A limit
/// anywhere on the way up binds, so all are asked and the one that leaves least counts.
struct CgroupFiles {
  /// The directories of one controller in one hierarchy, the process's own first.
  struct Hierarchy: Hashable {
    let isVersion2: Bool
    let directories: [String]
  }

  let files: HostFiles
  /// What the process's memory, processors and huge pages are charged to.
  private let memory: [Hierarchy]
  private let processors: [Hierarchy]
  private let hugePages: [Hierarchy]

  init(files: HostFiles) {
    self.files = files
    let mounts = Mount.parse(files.text("/proc/self/mountinfo", limit: 1 << 22) ?? "")
    let membership = files.text("/proc/self/cgroup") ?? ""
    func find(_ controller: String) -> [Hierarchy] {
      CgroupFiles.hierarchies(of: controller, membership: membership, mounts: mounts)
    }
    memory = find("memory")
    processors = find("cpu")
    hugePages = find("hugetlb")
  }

  /// The hierarchies of a controller, from /proc/self/cgroup lines like `4:memory:/user` and
  /// `0::/user`, the second being version 2.
  static func hierarchies(
    of controller: String, membership: String, mounts: [Mount]
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
      // A container may have the host's tree mounted elsewhere too.
      let usual = candidates.first { $0.point.hasPrefix("/sys/fs/cgroup") }
      let fallback = Mount(
        root: "/", point: isVersion2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/\(controller)")
      let mount = usual ?? candidates.first ?? fallback
      return Hierarchy(
        isVersion2: isVersion2, directories: mount.directories(upFrom: String(fields[2])))
    }
  }

  /// The memory limit that leaves least, or nil where there is none.
  func memoryLimit() -> HostCapabilities.Cgroup.MemoryLimit? {
    var tightest: HostCapabilities.Cgroup.MemoryLimit?
    for hierarchy in memory {
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

  /// What a cgroup uses and could not give back by dropping page cache that is not in use.
  private func memoryUsed(_ directory: String, isVersion2: Bool) -> ByteCount {
    let file = isVersion2 ? "memory.current" : "memory.usage_in_bytes"
    let key = isVersion2 ? "inactive_file" : "total_inactive_file"
    let used = files.number("\(directory)/\(file)") ?? 0
    let statistics = files.text("\(directory)/memory.stat") ?? ""
    return ByteCount(used - min(used, HostParsers.statistic(key, in: statistics) ?? 0))
  }

  /// The least quota of processor time, in processors, or nil where there is none.
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

  /// What the hugetlb cgroups leave of pages of a size, or nil where they set no limit.
  func hugePagesRemaining(size: ByteCount) -> ByteCount? {
    let name = "hugetlb." + CgroupFiles.hugePageName(size)
    var least: ByteCount?
    for hierarchy in hugePages {
      // Reservations, made by mmap(2), and pages, made by faults, are charged apart.
      for prefix in [name, name + ".rsvd"] {
        for directory in hierarchy.directories {
          let file = "\(directory)/\(prefix)."
          guard let limit = limit(file + (hierarchy.isVersion2 ? "max" : "limit_in_bytes")) else {
            continue
          }
          let used = files.number(file + (hierarchy.isVersion2 ? "current" : "usage_in_bytes"))
          let remaining = limit - min(limit, ByteCount(used ?? 0))
          least = min(least ?? remaining, remaining)
        }
      }
    }
    return least
  }

  /// The number in a limit's file, or nil where it is missing, `max` or so large that version 1
  /// means none by it: the largest long rounded down to a page.
  private func limit(_ file: String) -> ByteCount? {
    files.number(file).flatMap { $0 >= 1 << 62 ? nil : ByteCount($0) }
  }

  /// A size as the hugetlb controller writes it: `64KB`, `2MB`, `1GB`.
  static func hugePageName(_ size: ByteCount) -> String {
    switch size.rawValue {
    case (1 << 30)...: "\(size.rawValue >> 30)GB"
    case (1 << 20)...: "\(size.rawValue >> 20)MB"
    default: "\(size.rawValue >> 10)KB"
    }
  }
}
