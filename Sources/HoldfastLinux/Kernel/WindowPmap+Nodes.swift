package import HoldfastCore
internal import SystemPackage

/// Which NUMA nodes the pages of a range lie on, as the kernel says.
package struct NodeView: Hashable, Sendable {
  /// Bytes by node; nil where the kernel does not tell.
  package var bytes: [NodeID: UInt64]? = [:]
  /// Bytes of pages that lie elsewhere than on the node that their frames are bound to.
  package var strayBytes: UInt64 = 0
  /// Bytes that lie elsewhere than on the node that they were to come from if possible.
  package var displacedBytes: UInt64 = 0
  /// Why the kernel does not tell, or tells less.
  package var problem: String?
  /// Bytes that are not in the page tables, so that the kernel does not tell of them.
  package var unknownBytes: UInt64 = 0

  package init() {}
}

extension GuestWindow {
  /// Asks the kernel on which nodes the pages of a range are, page by page (move_pages(2)) or, where
  /// it may not be asked that, by mapping (numa_maps).
  ///
  /// - Parameter runs: the runs of frames that are mapped, and where.
  /// - Complexity: O(pages as the kernel has them, of 4 KiB where they are not of hugetlb).
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
        problem + (view.bytes == nil ? "" : ": judged by numa_maps, not frame by frame")
    }
    return view
  }

  private func add(
    _ frames: FrameRun, at address: Address, to view: inout NodeView
  ) throws(Errno) {
    let geometry = arena.geometry
    // All of a page of hugetlb is on one node. What else the kernel maps may be in pieces of 4 KiB.
    let step = arena.backing.hugePageSize?.rawValue ?? 4096
    let start = geometry.bytes(frames.start - Frame(0)).rawValue
    let end = geometry.bytes(frames.end - Frame(0)).rawValue
    for part in arena.parts where part.bytes.overlaps(start..<end) {
      let bytes = part.bytes.clamped(to: start..<end)
      let place = address.rawValue + (bytes.lowerBound - start)
      try hostRange.nodes(place..<place + UInt64(bytes.count), step: step) { _, node in
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

  /// The bytes of the mappings that lie in a range, or nil where numa_maps cannot be read or a
  /// mapping goes on beyond the range.
  private func bytesByNode(in range: AddressRange) -> [NodeID: UInt64]? {
    let host = hostRange.address + range.start.rawValue..<hostRange.address + range.end.rawValue
    guard let text = HostFiles(root: "/").text("/proc/self/numa_maps", limit: 1 << 26),
      let mappings = try? KernelMapping.all(overlapping: host),
      mappings.allSatisfy({ host.contains($0.range) })
    else { return nil }
    var bytes: [NodeID: UInt64] = [:]
    let starts = Set(mappings.map(\.range.lowerBound))
    for mapping in NumaMapping.parse(text) where starts.contains(mapping.start) {
      bytes.merge(mapping.bytes, uniquingKeysWith: +)
    }
    return bytes
  }
}

/// A line of `/proc/self/numa_maps`.
package struct NumaMapping: Hashable, Sendable {
  package var start: UInt64
  /// The policy: `default`, `bind:1`, `prefer:0`.
  package var policy: String
  /// Bytes by node.
  package var bytes: [NodeID: UInt64]

  /// Parses the file's text; what does not parse is left out.
  package static func parse(_ text: String) -> [NumaMapping] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      // 7f00a0000000 bind:1 file=/memfd:x\040(deleted) huge dirty=4 N1=4 kernelpagesize_kB=2048
      let words = line.split(separator: " ")
      guard words.count >= 2, let start = UInt64(words[0], radix: 16) else { return nil }
      var pages: [NodeID: UInt64] = [:]
      var size: UInt64 = 4096
      for word in words.dropFirst(2) {
        let parts = word.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let number = UInt64(parts[1]) else { continue }
        if parts[0] == "kernelpagesize_kB" {
          size = HostParsers.kibibytes(parts[1])?.rawValue ?? size
        } else if parts[0].first == "N", let node = UInt32(parts[0].dropFirst()) {
          pages[NodeID(node)] = number
        }
      }
      return NumaMapping(
        start: start, policy: String(words[1]),
        bytes: pages.mapValues { $0.multipliedReportingOverflow(by: size).partialValue })
    }
  }
}
