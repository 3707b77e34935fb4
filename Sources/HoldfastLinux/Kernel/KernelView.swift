package import HoldfastCore
internal import SystemPackage

/// What the kernel itself reports about a range of a window.
package struct KernelView: Hashable, Sendable {
  /// The bytes whose pages are in the page tables, so that an access does not fault. Nil if pagemap
  /// may not be read, as in a program with file capabilities.
  package var present: UInt64?
  /// The resident bytes, from mincore(2).
  package var resident: UInt64 = 0
  /// The present bytes by the size of the page-table entry that maps them.
  package var bytesByPageSize: [ByteCount: UInt64] = [:]
  /// Whether a mapping exceeds the range, so that `bytesByPageSize` counts too much.
  package var isCut = false
  /// The bytes of the arena that the kernel will not reclaim, because they are locked or hugetlb.
  package var locked: UInt64 = 0
  /// The 4 KiB pages whose frame the kernel reported here and in the arena's direct map.
  package var comparedPages: UInt64 = 0
  /// Those of them whose frames differ.
  package var misplacedPages: UInt64 = 0
  /// The nodes of the pages.
  package var nodes = NodeView()

  /// Creates an empty view.
  package init() {}

  /// Adds bytes that entries of a size map. A mapping whose size is missing adds none.
  mutating func add(_ bytes: UInt64, in size: ByteCount) {
    guard bytes > 0, size > .zero else { return }
    bytesByPageSize[size] = bytesByPageSize[size, default: 0].saturatingSum(bytes)
  }
}

extension GuestWindow {
  /// Asks the kernel, through smaps, pagemap, mincore(2) and move_pages(2), how much of a range is
  /// mapped, resident and locked, and on which nodes it is.
  ///
  /// - Parameter placed: calls its argument with each run of frames that should be mapped, and its
  ///   address.
  /// - Throws: `HoldfastError` with code `host` if /proc/self/smaps or pagemap cannot be read.
  /// - Complexity: O(mappings of the process + 4 KiB pages of the range).
  package func kernelView(
    of range: AddressRange, placed: ((Address, FrameRun) -> Void) -> Void
  ) throws(HoldfastError) -> KernelView {
    var view = KernelView()
    let base = hostRange.address
    let host = base + range.start.rawValue..<base + range.end.rawValue
    try addMappings(host, to: &view)
    do throws(Errno) {
      view.resident =
        try hostRange.residentPages(range.start.rawValue..<range.end.rawValue) << 12
    } catch {
      throw HoldfastError(
        .host, operation: "check the kernel's mappings", reason: "mincore(2) failed",
        errno: error.rawValue)
    }
    var runs: [(Address, FrameRun)] = []
    placed { runs.append(($0, $1)) }
    view.nodes = nodeView(of: range, runs)
    guard let map = PageMap() else { return view }
    defer { map.close() }
    view.present = 0
    for (address, frames) in runs { try compare(address, frames, map, &view) }
    return view
  }

  /// Adds what smaps reports: page sizes in the window, and the locked bytes of the arena.
  private func addMappings(_ host: Range<UInt64>, to view: inout KernelView) throws(HoldfastError) {
    let direct = arena.directMap.range
    for mapping in try KernelMapping.all(overlapping: 0..<UInt64.max) {
      if mapping.range.overlaps(direct.address..<direct.address + direct.length.rawValue) {
        let size = mapping.range.upperBound - mapping.range.lowerBound
        if mapping.flags.contains("ht") {
          view.locked = view.locked.saturatingSum(mapping.hugetlb)
        } else if mapping.flags.contains("lo") {
          view.locked = view.locked.saturatingSum(min(size, mapping["Rss"]))
        }
      }
      guard mapping.range.overlaps(host) else { continue }
      if !host.contains(mapping.range) { view.isCut = true }
      if mapping.flags.contains("ht") {
        let size = ByteCount(mapping["KernelPageSize"])
        view.add(mapping.hugetlb, in: size)
      } else {
        let huge = mapping["ShmemPmdMapped"].saturatingSum(mapping["AnonHugePages"])
        view.add(huge, in: .mebibytes(2))
        view.add(mapping["Rss"].saturatingDifference(huge), in: .kibibytes(4))
      }
    }
  }

  /// Counts the present pages of a run and compares their frames with the arena's.
  private func compare(
    _ address: Address, _ frames: FrameRun, _ map: borrowing PageMap, _ view: inout KernelView
  ) throws(HoldfastError) {
    let chunk: UInt64 = 1 << 15
    let pages = arena.geometry.bytes(frames.count).rawValue >> 12
    let window = hostRange.address + address.rawValue
    let direct =
      arena.directMap.range.address + arena.geometry.bytes(frames.start - Frame(0)).rawValue
    var done: UInt64 = 0
    while done < pages {
      let count = Int(min(chunk, pages - done))
      let here = try map.entries(at: window + done << 12, count: count)
      let there = try map.entries(at: direct + done << 12, count: count)
      for (one, other) in zip(here, there) {
        if one.isPresent { view.present = (view.present ?? 0) + 4096 }
        guard let frame = one.hostFrame, let expected = other.hostFrame else { continue }
        view.comparedPages += 1
        if frame != expected { view.misplacedPages += 1 }
      }
      done += UInt64(count)
    }
  }
}
