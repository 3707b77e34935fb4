internal import HoldfastCore

extension HostProbe {
  /// The nodes that are online, by number.
  func nodes(hugePageSizes: [ByteCount], usableProcessors: [UInt32]?) -> [HostCapabilities.Node] {
    let directory = "/sys/devices/system/node/"
    // The kernel knows 1,024 nodes at the very most.
    let online = (files.text(directory + "online", limit: 4096).map(HostParsers.numbers) ?? [])
      .filter { $0 < 1024 }
    let status = files.text("/proc/self/status") ?? ""
    // Kernels without cpusets have no such line, and allow all.
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

  /// What can be had on a node without swapping, about.
  static func available(_ memory: [String: ByteCount]) -> ByteCount? {
    guard let free = memory["MemFree"] else { return nil }
    let cache = ["Active(file)", "Inactive(file)"].compactMap { memory[$0]?.rawValue }
    // Not all of it can go at once, and what a node lacks is not had from another.
    return ByteCount(cache.reduce(free.rawValue) { $0.saturatingSum($1 / 2) })
  }
}
