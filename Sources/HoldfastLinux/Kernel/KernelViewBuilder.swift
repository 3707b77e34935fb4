package import HoldfastCore
internal import SystemPackage

/// Asks the kernel about a range of a window.
///
/// The present pages are found in one pass; each part of them is compared with the frames that
/// should be there and asked for its nodes, in steps of the page that maps it.
struct KernelViewBuilder {
  /// A run of frames that should be mapped.
  struct Placed {
    /// The host addresses.
    let range: Range<UInt64>
    /// The host address of the same frames in the arena's direct map.
    let direct: UInt64
    /// The offset of the frames in the arena.
    let offset: UInt64
  }

  private let arena: Arena
  private let hostRange: HostRange
  /// The host addresses.
  private let host: Range<UInt64>
  /// In ascending order.
  private let placed: [Placed]
  /// The node that has all memory of the host, if it is one.
  private let onlyNode: NodeID?
  /// The placed run that the next present part may be in.
  private var next = 0
  /// Whether the kernel shows the host's frames; nil until the first present page.
  private var showsFrames: Bool?
  private(set) var view = KernelView()

  init(_ window: some GuestWindow, _ range: AddressRange, _ runs: [(Address, FrameRun)]) {
    arena = window.arena
    hostRange = window.hostRange
    let base = window.hostRange.address
    let direct = window.arena.directMap.range.address
    let geometry = window.arena.geometry
    host = base + range.start.rawValue..<base + range.end.rawValue
    placed = runs.map { address, frames in
      let start = base + address.rawValue
      let offset = geometry.bytes(frames.start - Frame(0)).rawValue
      return Placed(
        range: start..<start + geometry.bytes(frames.count).rawValue, direct: direct + offset,
        offset: offset)
    }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    onlyNode = NodeView.onlyNode()
  }

  // MARK: Two ways to ask

  /// Asks by ioctl(2) calls about the range and the direct map.
  ///
  /// - Throws: `inappropriateIOCTLForDevice` before Linux 6.11.
  mutating func addByQueries(_ map: PageMap) throws(Errno) {
    guard let table = MappingTable() else { throw .noSuchFileOrDirectory }
    defer { table.close() }
    view.present = 0
    var inRange: UInt64 = 0
    var mappings: [MappingTable.Mapping] = []
    try table.forEach(in: host) { mappings.append($0) }
    for mapping in mappings {
      var parts: [(Range<UInt64>, UInt64)] = []
      try map.forEachPresent(in: mapping.range) { part, isHuge throws(Errno) in
        let huge = mapping.isHugetlb ? mapping.pageSize : ByteCount.mebibytes(2).rawValue
        parts.append((part, isHuge ? huge : 4096))
      }
      for (part, pageSize) in parts {
        view.add(UInt64(part.count), in: ByteCount(pageSize))
        inRange += UInt64(part.count)
        try add(present: part, pageSize: pageSize, map)
      }
    }
    view.locked = try lockedBytes(table, map, inRange: inRange)
  }

  /// The present bytes of the arena's direct map that are locked or hugetlb.
  ///
  /// - Parameter inRange: the present bytes of the range, which are not counted anew if it is a part
  ///   of the direct map.
  private func lockedBytes(
    _ table: MappingTable, _ map: PageMap, inRange: UInt64
  ) throws(Errno) -> UInt64 {
    let direct = arena.directMap.range
    let whole = direct.address..<direct.address + direct.length.rawValue
    var locked: UInt64 = 0
    try table.forEach(in: whole) { mapping throws(Errno) in
      guard try MappingTable.isLocked(at: mapping.range.lowerBound) else { return }
      var rest = [mapping.range]
      // Every range contains an empty one, even one beyond its bounds.
      if !host.isEmpty, mapping.range.contains(host) {
        locked += inRange
        rest = [
          mapping.range.lowerBound..<host.lowerBound, host.upperBound..<mapping.range.upperBound,
        ]
      }
      for part in rest {
        try map.forEachPresent(in: part) { part, _ throws(Errno) in locked += UInt64(part.count) }
      }
    }
    return locked
  }

  /// Reads smaps, and the entries of pagemap if it may be read.
  mutating func addByFiles(_ map: PageMap?) throws(HoldfastError) {
    try addMappings()
    do throws(Errno) {
      if let map {
        view.present = 0
        for run in placed {
          var parts: [Range<UInt64>] = []
          try map.forEachPresentByEntry(in: run.range) { parts.append($0) }
          for part in parts { try add(present: part, pageSize: 4096, map) }
        }
      } else {
        // The nodes are asked for all the same.
        for run in placed { addNodes(run.range, run, step: largestStep(4096)) }
      }
    } catch {
      throw HoldfastError(
        .host, operation: "check the kernel's mappings",
        reason: "/proc/self/pagemap cannot be read", errno: error.rawValue)
    }
  }

  /// Adds what smaps reports: page sizes in the window, and the locked bytes of the arena.
  private mutating func addMappings() throws(HoldfastError) {
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

  // MARK: Present pages

  /// Adds a part that the page tables have. Parts come in ascending order.
  private mutating func add(
    present part: Range<UInt64>, pageSize: UInt64, _ map: PageMap
  ) throws(Errno) {
    while next < placed.count, placed[next].range.upperBound <= part.lowerBound { next += 1 }
    var index = next
    while index < placed.count, placed[index].range.lowerBound < part.upperBound {
      let run = placed[index]
      let piece = part.clamped(to: run.range)
      view.present = (view.present ?? 0) + UInt64(piece.count)
      try compare(piece, run, pageSize, map)
      addNodes(piece, run, step: largestStep(pageSize))
      index += 1
    }
  }

  /// Compares the frames of a piece with the arena's.
  private mutating func compare(
    _ piece: Range<UInt64>, _ run: Placed, _ pageSize: UInt64, _ map: PageMap
  ) throws(Errno) {
    if showsFrames == nil { showsFrames = map.showsFrames(at: piece.lowerBound) }
    guard showsFrames == true else { return }
    let direct = run.direct + (piece.lowerBound - run.range.lowerBound)
    if direct == piece.lowerBound {
      view.comparedPages += UInt64(piece.count) >> 12
      return
    }
    let found = try map.compare(piece, with: direct, pageSize: pageSize)
    view.comparedPages += found.compared
    view.misplacedPages += found.different
  }

  // MARK: Nodes

  /// The bytes that are certain to be on one node, where entries map pages of a size.
  private func largestStep(_ pageSize: UInt64) -> UInt64 {
    arena.backing.hugePageSize?.rawValue ?? pageSize
  }

  private mutating func addNodes(_ piece: Range<UInt64>, _ run: Placed, step: UInt64) {
    guard view.nodes.problem == nil else { return }
    let start = run.offset + (piece.lowerBound - run.range.lowerBound)
    let end = start + UInt64(piece.count)
    do throws(Errno) {
      for part in arena.parts where part.bytes.overlaps(start..<end) {
        let bytes = part.bytes.clamped(to: start..<end)
        if let onlyNode, view.present != nil {
          view.nodes.add(UInt64(bytes.count), on: onlyNode, part)
          continue
        }
        let offset = piece.lowerBound - hostRange.address + (bytes.lowerBound - start)
        try view.nodes.add(hostRange, offset..<offset + UInt64(bytes.count), step, part)
      }
    } catch {
      view.nodes.problem = "move_pages(2) failed (\(error))"
    }
  }

  /// The view, with what takes all parts to know.
  consuming func finished() -> KernelView {
    let total = placed.reduce(UInt64(0)) { $0 + UInt64($1.range.count) }
    if view.nodes.problem == nil {
      let known = (view.nodes.bytes ?? [:]).values.reduce(UInt64(0)) { $0.saturatingSum($1) }
      view.nodes.unknownBytes = total.saturatingDifference(known)
    } else {
      view.nodes.useNumaMaps(of: hostRange, host, arena.parts)
    }
    return view
  }
}

extension GuestWindow {
  /// Asks the kernel how much of a range is mapped, resident and locked, and on which nodes it is.
  ///
  /// - Parameters:
  ///   - source: how it is asked.
  ///   - placed: calls its argument with each run of frames that should be mapped, and its address.
  /// - Throws: `HoldfastError` with code `host` if the kernel's files cannot be read.
  /// - Complexity: O(mappings and page-table entries of the range and of the arena) and, for 4 KiB
  ///   pages of a window, O(pages), whose frames are compared; from files, O(mappings of the process
  ///   + 4 KiB pages).
  package func kernelView(
    of range: AddressRange, from source: KernelView.Source = .queries,
    placed: ((Address, FrameRun) -> Void) -> Void
  ) throws(HoldfastError) -> KernelView {
    // An empty range is wired anywhere, also where its addresses here would pass 2^64.
    let range = range.clamped(to: AddressRange(from: .zero, to: .zero + hostRange.length))
    var runs: [(Address, FrameRun)] = []
    placed { runs.append(($0, $1)) }
    let map = PageMap()
    defer { map?.close() }
    var builder = KernelViewBuilder(self, range, runs)
    do throws(Errno) {
      guard source == .queries, let map else { throw .inappropriateIOCTLForDevice }
      try builder.addByQueries(map)
    } catch {
      builder = KernelViewBuilder(self, range, runs)
      try builder.addByFiles(map)
    }
    var view = builder.finished()
    do throws(Errno) {
      view.resident =
        try hostRange.residentPages(range.start.rawValue..<range.end.rawValue) << 12
    } catch {
      throw HoldfastError(
        .host, operation: "check the kernel's mappings", reason: "mincore(2) failed",
        errno: error.rawValue)
    }
    return view
  }
}
