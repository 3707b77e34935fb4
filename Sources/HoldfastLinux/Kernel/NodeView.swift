package import HoldfastCore
internal import SystemPackage

/// The NUMA nodes that the pages of a range are on, as the kernel reports.
package struct NodeView: Hashable, Sendable {
  /// The bytes on each node; nil if the kernel does not report them.
  package var bytes: [NodeID: UInt64]? = [:]
  /// The bytes that are not on the node to which their frames are bound.
  package var strayBytes: UInt64 = 0
  /// The bytes that are not on the node that was preferred for their frames.
  package var displacedBytes: UInt64 = 0
  /// Why the kernel does not report the nodes, or less exactly; nil if it does.
  package var problem: String?
  /// The bytes that are not in the page tables, whose nodes the kernel does not report.
  package var unknownBytes: UInt64 = 0

  /// Creates an empty view.
  package init() {}
}

extension GuestWindow {
  /// Asks the kernel for the nodes of the pages of a range: page by page with move_pages(2) or, if
  /// that is refused, by mapping from numa_maps.
  ///
  /// - Parameter runs: the runs of frames that are mapped in the range, and their addresses.
  /// - Complexity: O(pages), which are of 4 KiB except on hugetlb.
  func nodeView(of range: AddressRange, _ runs: [(Address, FrameRun)]) -> NodeView {
    var view = NodeView()
    do throws(Errno) {
      for (address, frames) in runs { try add(frames, at: address, to: &view) }
      return view
    } catch {
      view = NodeView()
      view.bytes = bytesByNode(in: range)
      let problem = "move_pages(2) failed (\(error))"
      view.problem =
        problem + (view.bytes == nil ? "" : "; numa_maps was used instead, which is less exact")
    }
    return view
  }

  private func add(
    _ frames: FrameRun, at address: Address, to view: inout NodeView
  ) throws(Errno) {
    let geometry = arena.geometry
    // A hugetlb page is on one node. Each 4 KiB of other memory may be on another one.
    let step = arena.backing.hugePageSize?.rawValue ?? 4096
    let start = geometry.bytes(frames.start - Frame(0)).rawValue
    let end = geometry.bytes(frames.end - Frame(0)).rawValue
    for part in arena.parts where part.bytes.overlaps(start..<end) {
      let bytes = part.bytes.clamped(to: start..<end)
      let offset = address.rawValue + (bytes.lowerBound - start)
      try hostRange.nodes(offset..<offset + UInt64(bytes.count), step: step) { _, node in
        guard let node else {
          view.unknownBytes += step
          return
        }
        view.bytes?[node, default: 0] += step
        guard let wanted = part.node, wanted != node else { return }
        if part.isStrict { view.strayBytes += step } else { view.displacedBytes += step }
      }
    }
  }

  /// The bytes on each node of the mappings in a range, or nil if numa_maps cannot be read or a
  /// mapping exceeds the range.
  private func bytesByNode(in range: AddressRange) -> [NodeID: UInt64]? {
    let host = hostRange.address + range.start.rawValue..<hostRange.address + range.end.rawValue
    guard let text = HostFiles(root: "/").text("/proc/self/numa_maps", limit: 1 << 26),
      let mappings = try? KernelMapping.all(overlapping: host),
      mappings.allSatisfy({ host.contains($0.range) })
    else { return nil }
    var bytes: [NodeID: UInt64] = [:]
    let starts = Set(mappings.map(\.range.lowerBound))
    for mapping in NumaMapping.parse(text) where starts.contains(mapping.start) {
      bytes.merge(mapping.bytes, uniquingKeysWith: { $0.saturatingSum($1) })
    }
    return bytes
  }
}
