internal import HoldfastCore

/// A part of an arena, the frames of one allocator domain.
struct ArenaPart: Hashable, Sendable {
  /// In the arena's file.
  let bytes: Range<UInt64>
  /// Nil where the kernel chooses.
  let node: NodeID?
  /// How the part is bound to its node, or nil where it is not: the host has but one, or would not.
  var policy: HostNodes.Policy?
  /// The node's processors that this process may run on; empty where the node has none, or there is
  /// nothing to choose.
  let processors: [UInt32]

  /// The part with memory up to `end`.
  func extended(to end: ByteCount) -> ArenaPart {
    ArenaPart(
      bytes: bytes.lowerBound..<end.rawValue, node: node, policy: policy, processors: processors)
  }

  /// Whether every page is on the node for certain.
  var isStrict: Bool { node != nil && policy != .preferred }
}

/// How the memory of an arena is shared out to nodes: as evenly as these have room.
enum NodeShares {
  /// The parts of an arena.
  ///
  /// - Parameters:
  ///   - nodes: nil for all that this process may use.
  ///   - spread: false to leave the choice to the kernel where no nodes are given.
  static func parts(
    _ choice: BackingChoice, _ nodes: HostNodes?, _ host: HostCapabilities, spread: Bool
  ) -> [ArenaPart] {
    let size = choice.size.rawValue
    let candidates = host.memoryNodes.filter { nodes?.nodes.contains($0.id) ?? true }
    // Frames of a guest that is placed in the arena follow each other, so they are of one part.
    if nodes == nil, candidates.count < 2 || !spread || !choice.backing.hasFile {
      // Where there is but one node the kernel has no choice.
      let only = host.nodes.count == 1 ? host.nodes[0].id : nil
      return [ArenaPart(bytes: 0..<size, node: only, policy: nil, processors: [])]
    }
    // Nobody has asked for nodes: what was reckoned wrong is not to fail, or worse, to have the kernel
    // kill for memory. A pool's pages are counted exactly, and it refuses plainly.
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

  /// Shares `size` out evenly, but to nobody more than there is room, in whole units except for the
  /// last share that is not empty. What nobody has room for goes to who has most.
  static func divide(_ size: UInt64, unit: UInt64, room: [UInt64]) -> [UInt64] {
    let units = size / unit
    var left = units
    var shares = [UInt64](repeating: 0, count: room.count)
    let limits = room.map { $0 / unit }
    // Whoever has least room first: what he cannot take is the others'.
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
  /// What can be had on the node for a backing.
  func room(for backing: Backing) -> ByteCount {
    guard let page = backing.hugePageSize else { return available ?? .zero }
    return hugePages.first { $0.size == page }?.freeBytes ?? .zero
  }
}
