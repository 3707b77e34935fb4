internal import HoldfastCore

/// Divides an arena's memory among nodes, as evenly as they have room.
enum NodeShares {
  /// The parts of an arena.
  ///
  /// - Parameters:
  ///   - nodes: nil for all that this process may use.
  ///   - spread: false to leave the choice to the kernel if `nodes` is nil.
  static func parts(
    _ choice: BackingChoice, _ nodes: HostNodes?, _ host: HostCapabilities, spread: Bool
  ) -> [ArenaPart] {
    let size = choice.size.rawValue
    let candidates = host.memoryNodes.filter { nodes?.nodes.contains($0.id) ?? true }
    // A guest that is placed in the arena needs consecutive frames, so all are of one part.
    if nodes == nil, candidates.count < 2 || !spread || !choice.backing.hasFile {
      // With a single node the kernel has no choice.
      let only = host.nodes.count == 1 ? host.nodes[0].id : nil
      return [ArenaPart(bytes: 0..<size, node: only, policy: nil, processors: [])]
    }
    // The caller asked for no nodes, so a wrong estimate must not make the call fail, or the kernel
    // kill a process for memory. The pages of a pool are counted exactly, and a shortage is an
    // error.
    let isExact = choice.backing.hugePageSize != nil
    let policy = nodes?.policy ?? (isExact ? .bind : .preferred)
    let unit = max(ByteCount.mebibytes(2), choice.backing.geometry.pageSize)
    let room = candidates.map { $0.room(for: choice.backing).rawValue }
    var start: UInt64 = 0
    return zip(candidates, divide(size, unit: unit.rawValue, room: room)).compactMap {
      node, share in
      guard share > 0 else { return nil }
      defer { start += share }
      return ArenaPart(
        bytes: start..<start + share, node: node.id, policy: policy,
        processors: node.usableProcessors)
    }
  }

  /// Divides `size` evenly into one share for each element of `room`, no share larger than its
  /// room, all in whole units except the last share that is not empty. What exceeds the whole room
  /// is added to the share with the most room.
  static func divide(_ size: UInt64, unit: UInt64, room: [UInt64]) -> [UInt64] {
    let units = size / unit
    var left = units
    var shares = [UInt64](repeating: 0, count: room.count)
    let limits = room.map { $0 / unit }
    // The smallest room first: what does not fit there is divided among the others.
    let order = limits.indices.sorted { (limits[$0], $0) < (limits[$1], $1) }
    for (position, index) in order.enumerated() {
      let waiting = UInt64(order.count - position)
      shares[index] = min(limits[index], left / waiting + (left % waiting == 0 ? 0 : 1))
      left -= shares[index]
    }
    if let most = order.last { shares[most] += left }
    var bytes = shares.map { $0 * unit }
    let last = bytes.lastIndex { $0 > 0 } ?? order.last
    if let last { bytes[last] += size % unit }
    return bytes
  }
}

extension HostCapabilities.Node {
  /// The free memory of the node for a backing.
  func room(for backing: Backing) -> ByteCount {
    guard let page = backing.hugePageSize else { return available ?? .zero }
    return hugePages.first { $0.size == page }?.freeBytes ?? .zero
  }
}
