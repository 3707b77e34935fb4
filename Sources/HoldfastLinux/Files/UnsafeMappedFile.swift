internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
internal import Synchronization
package import SystemPackage

/// A part of a file as this process sees it: brought in, zeroed or read by several threads, which have the
/// priority of whoever asks.
///
/// SAFETY: the range is mapped readable and writable for as long as the object lives. The file may be cut
/// by others meanwhile only if they may write to it; whoever uses this sees to it that nobody else does.
package final class MappedFile: Sendable {
  private let range: HostRange
  private let pageSize: ByteCount
  private let threads: Int

  /// What threads take at once: small enough to share out and to show progress by.
  private static let piece: UInt64 = 64 << 20

  /// Maps a part of a file. On hugetlbfs that also promises the pages which are missing, or fails with
  /// `noMemory`. The corresponding C function is `mmap`.
  ///
  /// - Parameters:
  ///   - part: in bytes from the file's start, whole pages of it.
  ///   - pageSize: that of the file, or what the mapping is to be aligned to.
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
      range.release()
      throw error
    }
  }

  deinit {
    range.release()
  }

  /// Sets the nodes that pages come from which are not there yet, for whoever brings them in. The
  /// corresponding C function is `mbind`.
  package func bind(to nodes: HostNodes) throws(Errno) {
    try range.bind(0..<range.length.rawValue, to: nodes.nodes, nodes.policy)
  }

  /// Whether all of it lies on a node, or nil where the kernel does not tell. All pages are there. The
  /// corresponding C function is `move_pages`.
  ///
  /// - Complexity: O(pages).
  package func lies(on node: NodeID) -> Bool? {
    var elsewhere = 0
    var unknown = 0
    do throws(Errno) {
      try range.nodes(0..<range.length.rawValue, step: pageSize.rawValue) { _, found in
        if found == nil { unknown += 1 } else if found != node { elsewhere += 1 }
      }
    } catch {
      return nil
    }
    if elsewhere > 0 { return false }
    return unknown > 0 ? nil : true
  }

  /// Brings all pages in, zero where they were not there. The corresponding C function is `madvise`, with
  /// MADV_POPULATE_WRITE: shortage is an error.
  ///
  /// - Parameter progress: told the bytes done, from any thread; may return false to stop with
  ///   `canceled`.
  package func populate(_ progress: @Sendable (ByteCount) -> Bool = { _ in true }) throws(Errno) {
    // Where the kernel is asked for huge pages on tmpfs it may give them.
    try? range.adviseHuge(0..<range.length.rawValue, true)
    let problem = Atomic<Int32>(0)
    let done = Atomic<UInt64>(0)
    Workers.perform(pieces, threads: threads, inherits: true) { number in
      let part = piece(number)
      do throws(Errno) {
        try range.populate(part, .readWrite)
      } catch {
        problem.store(error.rawValue, ordering: .relaxed)
        return false
      }
      let sum = done.wrappingAdd(UInt64(part.count), ordering: .relaxed).newValue
      if !progress(ByteCount(sum)) {
        problem.store(Errno.canceled.rawValue, ordering: .relaxed)
        return false
      }
      return true
    }
    let found = problem.load(ordering: .relaxed)
    if found != 0 { throw Errno(rawValue: found) }
  }

  /// Zeroes all of it in the way that is fastest here, which is measured on it where it was not before.
  /// All pages are there.
  package func zero(_ progress: @Sendable (ByteCount) -> Void = { _ in }) {
    let length = Int(range.length.rawValue)
    // SAFETY: all of the range is mapped and writable, and nobody else reads it.
    unsafe Zeroing.chooseOnce(on: range.start, length, threads: threads)
    let done = Atomic<UInt64>(0)
    Workers.perform(pieces, threads: threads, inherits: true) { number in
      let part = piece(number)
      // SAFETY: the part lies in the range.
      unsafe Zeroing.zero(range.start + Int(part.lowerBound), part.count)
      progress(ByteCount(done.wrappingAdd(UInt64(part.count), ordering: .relaxed).newValue))
      return true
    }
  }

  /// Whether all of it reads as zero. All pages are there.
  ///
  /// - Parameter progress: called now and then, from any thread.
  package func isZero(_ progress: @Sendable () -> Void = {}) -> Bool {
    let dirty = Atomic<Bool>(false)
    Workers.perform(pieces, threads: threads, inherits: true) { number in
      progress()
      let part = piece(number)
      // SAFETY: the part lies in the range and is not empty. Every byte is the one before it, and the
      // first is zero.
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
