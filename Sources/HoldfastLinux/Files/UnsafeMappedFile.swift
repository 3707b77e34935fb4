internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
internal import Synchronization
package import SystemPackage

/// A mapped part of a file, which several threads populate, zero or read, with the priority of the
/// calling thread.
///
/// SAFETY: the range is mapped readable and writable for as long as the object lives. Another
/// process could truncate the file only if it may write to it; the user of the object excludes
/// that.
package final class MappedFile: Sendable {
  private let range: HostRange
  private let pageSize: ByteCount
  private let threads: Int

  /// The bytes that a thread takes at once: small enough to divide the work and to show progress.
  private static let piece: UInt64 = 64 << 20

  /// Maps a part of a file. On hugetlbfs that also reserves the absent pages, or fails with
  /// `noMemory`. The corresponding C function is `mmap`.
  ///
  /// - Parameters:
  ///   - part: a range of bytes of the file, in whole pages.
  ///   - pageSize: the page size of the file; the mapping is aligned to it.
  package init(
    _ file: OpenFile, _ part: Range<UInt64>, pageSize: ByteCount, threads: Int
  ) throws(Errno) {
    let length = ByteCount(UInt64(part.count))
    range = try HostRange.reserve(length, alignment: max(pageSize, .mebibytes(2)))
    self.pageSize = pageSize
    self.threads = max(1, threads)
    do {
      try range.map(
        0..<length.rawValue, .readWrite, file: file.descriptor, offset: part.lowerBound,
        advice: .noDump)
    } catch {
      range.unmap()
      throw error
    }
  }

  deinit {
    range.unmap()
  }

  /// Sets the nodes that absent pages come from. Where the host refuses that, as in containers,
  /// `populate` runs on the processors of the nodes, which gives most pages there: ask `lies` then.
  /// The corresponding C function is `mbind`.
  package func place(on nodes: HostNodes, _ host: HostCapabilities) -> NodePlacement {
    do throws(Errno) {
      try range.bind(0..<range.length.rawValue, to: nodes.nodes, nodes.policy)
      return NodePlacement(nodes, host, refusal: nil)
    } catch {
      return NodePlacement(nodes, host, refusal: error)
    }
  }

  /// Whether all pages are on a node, or nil if the kernel does not report that. All pages are
  /// resident. The corresponding C function is `move_pages`; where it is refused, numa_maps has the
  /// numbers of the mapping, and on a host whose memory is on one node there is no other place.
  ///
  /// - Complexity: O(pages).
  package func lies(on node: NodeID, _ host: HostCapabilities) -> Bool? {
    let all = 0..<range.length.rawValue
    var elsewhere = 0
    var unknown = 0
    do throws(Errno) {
      try range.nodes(all, step: pageSize.rawValue) { _, found in
        if found == nil { unknown += 1 } else if found != node { elsewhere += 1 }
      }
      if elsewhere > 0 { return false }
      if unknown == 0 { return true }
    } catch {
      if let bytes = range.bytesByNode(all) {
        if bytes.contains(where: { $0.key != node && $0.value > 0 }) { return false }
        if let there = bytes[node], there >= range.length.rawValue { return true }
      }
    }
    let places = host.nodes.filter { ($0.total ?? .zero) > .zero }.map(\.id)
    return places == [node] ? true : nil
  }

  /// Populates all pages; those that were absent are zero. The corresponding C function is
  /// `madvise`, with MADV_POPULATE_WRITE: a shortage is an error.
  ///
  /// - Parameters:
  ///   - placement: where the memory comes from, as `place` returned it.
  ///   - progress: told the bytes done, from any thread; may return false to stop with `canceled`.
  /// - Returns: why threads could not be pinned to the processors of the placement, or nil.
  @discardableResult
  package func populate(
    _ placement: NodePlacement? = nil,
    _ progress: @escaping @Sendable (ByteCount) -> Bool = { _ in true }
  ) throws(Errno) -> Errno? {
    // On tmpfs the kernel may use huge pages if it is asked to.
    try? range.adviseHuge(0..<range.length.rawValue, true)
    let work = Population(progress)
    var unpinned: Errno?
    if let placement, placement.refusal != nil, !placement.processors.isEmpty {
      let group = Workers.Group(count: pieces, processors: placement.processors)
      unpinned = Workers.perform([group], threads: threads) { self.populate(piece: $1, work) }
    } else {
      Workers.perform(pieces, threads: threads) { populate(piece: $0, work) }
    }
    let found = work.problem.load(ordering: .relaxed)
    if found != 0 { throw Errno(rawValue: found) }
    return unpinned
  }

  /// The state of a call of `populate`.
  private final class Population: Sendable {
    let progress: @Sendable (ByteCount) -> Bool
    let problem = Atomic<Int32>(0)
    let done = Atomic<UInt64>(0)

    init(_ progress: @escaping @Sendable (ByteCount) -> Bool) { self.progress = progress }
  }

  /// Populates a piece, and returns whether to go on.
  private func populate(piece number: Int, _ work: Population) -> Bool {
    let part = piece(number)
    do throws(Errno) {
      try range.populate(part, .readWrite)
    } catch {
      work.problem.store(error.rawValue, ordering: .relaxed)
      return false
    }
    let sum = work.done.wrappingAdd(UInt64(part.count), ordering: .relaxed).newValue
    if work.progress(ByteCount(sum)) { return true }
    work.problem.store(Errno.canceled.rawValue, ordering: .relaxed)
    return false
  }

  /// Zeroes all bytes in the way that is the fastest here, which is measured in them if it was not
  /// before. All pages are resident.
  package func zero(_ progress: @Sendable (ByteCount) -> Void = { _ in }) {
    let length = Int(range.length.rawValue)
    // SAFETY: the whole range is mapped and writable, and no other thread uses it.
    unsafe Zeroing.chooseOnce(on: range.start, length, threads: threads)
    let done = Atomic<UInt64>(0)
    Workers.perform(pieces, threads: threads) { number in
      let part = piece(number)
      // SAFETY: the part is within the range.
      unsafe Zeroing.zero(range.start + Int(part.lowerBound), part.count)
      progress(ByteCount(done.wrappingAdd(UInt64(part.count), ordering: .relaxed).newValue))
      return true
    }
  }

  /// Whether all bytes are zero. All pages are resident.
  ///
  /// - Parameter progress: called before each piece of 64 MiB, from any thread.
  package func isZero(_ progress: @Sendable () -> Void = {}) -> Bool {
    let dirty = Atomic<Bool>(false)
    Workers.perform(pieces, threads: threads) { number in
      progress()
      let part = piece(number)
      // SAFETY: the part is within the range and not empty. It is zero if its first byte is, and
      // each byte equals the one before it.
      let start = unsafe range.start + Int(part.lowerBound)
      let isZero =
        unsafe start.load(as: UInt8.self) == 0
        && memcmp(start, start + 1, part.count - 1) == 0
      if !isZero { dirty.store(true, ordering: .relaxed) }
      return isZero
    }
    return !dirty.load(ordering: .relaxed)
  }

  private var pieces: Int { Int((range.length.rawValue + Self.piece - 1) / Self.piece) }

  private func piece(_ number: Int) -> Range<UInt64> {
    let start = UInt64(number) * Self.piece
    return start..<min(start + Self.piece, range.length.rawValue)
  }
}
