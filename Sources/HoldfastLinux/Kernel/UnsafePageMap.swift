internal import CHoldfastLinux
internal import HoldfastCore
internal import SystemPackage

/// `/proc/self/pagemap`: whether each 4 KiB page is in the page tables and, with CAP_SYS_ADMIN, its
/// frame on the host.
struct PageMap {
  /// The entry of one page.
  struct Entry {
    let rawValue: UInt64

    /// Whether the page is in the page tables.
    var isPresent: Bool { rawValue & (1 << 63) != 0 }
    /// The host's frame, or nil if the kernel hides it (CAP_SYS_ADMIN is missing).
    var hostFrame: UInt64? {
      let frame = rawValue & ((1 << 55) - 1)
      return isPresent && frame != 0 ? frame : nil
    }
  }

  /// The entries that `compare` and `forEachPresentByEntry` read at once: 256 KiB.
  private static let chunk = 1 << 15
  /// The runs that `forEachPresent` asks for at once.
  private static let runs = 512

  private let file: FileDescriptor

  /// Opens the file; nil if it may not be read.
  init?() {
    guard
      let file = try? unsafe FileDescriptor.open(
        "/proc/self/pagemap", .readOnly, options: .closeOnExec)
    else { return nil }
    self.file = file
  }

  /// Closes the file.
  func close() {
    try? file.close()
  }

  /// Calls `body` with each part of a range that the page tables have, and whether its entries map
  /// huge pages. The corresponding call is the ioctl(2) PAGEMAP_SCAN.
  ///
  /// - Throws: `inappropriateIOCTLForDevice` before Linux 6.7.
  /// - Complexity: O(entries of the page tables), a few nanoseconds for each.
  func forEachPresent(
    in range: Range<UInt64>, _ body: (Range<UInt64>, _ isHuge: Bool) throws(Errno) -> Void
  ) throws(Errno) {
    var start = range.lowerBound
    var done = range.lowerBound
    var runs = [hf_present](repeating: hf_present(), count: PageMap.runs)
    while start < range.upperBound {
      let before = start
      // SAFETY: the call writes at most as many runs as the array has, and the position.
      let found = unsafe runs.withUnsafeMutableBufferPointer { runs in
        unsafe hf_scan_present(
          file.rawValue, &start, range.upperBound, runs.baseAddress!, runs.count)
      }
      if found < 0 { throw Errno(rawValue: Int32(clamping: -found)) }
      for run in runs.prefix(Int(found)) where run.start < run.end {
        // Callers add the parts up, so none may be twice or outside, whatever the kernel says.
        let part = (run.start..<run.end).clamped(to: done..<range.upperBound)
        if part.isEmpty { continue }
        done = part.upperBound
        try body(part, run.is_huge != 0)
      }
      // The kernel always advances; if it did not, the loop would not end.
      if start <= before { throw .ioError }
    }
  }

  /// Calls `body` with each part of a range that the page tables have, by reading the entries.
  ///
  /// - Complexity: O(4 KiB pages).
  func forEachPresentByEntry(
    in range: Range<UInt64>, _ body: (Range<UInt64>) throws(Errno) -> Void
  ) throws(Errno) {
    var entries = [UInt64](repeating: 0, count: PageMap.chunk)
    var address = range.lowerBound
    var first: UInt64?
    while address < range.upperBound {
      let count = Int(min(UInt64(PageMap.chunk), (range.upperBound - address) >> 12))
      if count == 0 { break }
      try read(address, count, &entries)
      for entry in entries.prefix(count) {
        if Entry(rawValue: entry).isPresent {
          first = first ?? address
        } else if let start = first {
          try body(start..<address)
          first = nil
        }
        address += 4096
      }
    }
    if let start = first { try body(start..<address) }
  }

  /// What comparing the frames of two ranges found, in 4 KiB pages.
  struct Comparison {
    /// The pages whose frames the kernel reported in both ranges.
    var compared: UInt64 = 0
    /// Those whose frames differ.
    var different: UInt64 = 0
  }

  /// Compares the host's frames of a present range with those of another range of the same length.
  ///
  /// - Parameter pageSize: the size of the pages that the entries of the range map. Those of a huge
  ///   page are next to one another, so its first one says it.
  /// - Complexity: O(pages).
  func compare(
    _ range: Range<UInt64>, with other: UInt64, pageSize: UInt64
  ) throws(Errno) -> Comparison {
    var comparison = Comparison()
    var here = [UInt64](repeating: 0, count: pageSize > 4096 ? 1 : PageMap.chunk)
    var there = here
    var address = range.lowerBound
    while address < range.upperBound {
      let next =
        pageSize > 4096
        ? min((address / pageSize + 1) * pageSize, range.upperBound)
        : min(address + UInt64(PageMap.chunk) << 12, range.upperBound)
      let count = pageSize > 4096 ? 1 : Int((next - address) >> 12)
      let pages = pageSize > 4096 ? (next - address) >> 12 : 1
      try read(address, count, &here)
      try read(other + (address - range.lowerBound), count, &there)
      for index in 0..<count {
        guard let frame = Entry(rawValue: here[index]).hostFrame,
          let expected = Entry(rawValue: there[index]).hostFrame
        else { continue }
        comparison.compared += pages
        if frame != expected { comparison.different += pages }
      }
      address = next
    }
    return comparison
  }

  /// Whether the kernel shows the host's frames: it does with CAP_SYS_ADMIN.
  func showsFrames(at address: UInt64) -> Bool {
    var entry: [UInt64] = [0]
    do throws(Errno) {
      try read(address, 1, &entry)
      return Entry(rawValue: entry[0]).hostFrame != nil
    } catch {
      return false
    }
  }

  /// Reads the entries of `count` pages from an address into the start of an array.
  private func read(
    _ address: UInt64, _ count: Int, _ entries: inout [UInt64]
  ) throws(Errno) {
    precondition(count <= entries.count, "more entries than there is room for")
    do {
      // SAFETY: the part that is read is within `entries`, which lives through the calls.
      try unsafe entries.withUnsafeMutableBytes { buffer in
        var done = 0
        while done < count * 8 {
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<count * 8])
          let read = try unsafe file.read(
            fromAbsoluteOffset: Int64(address >> 12) * 8 + Int64(done), into: part)
          if read == 0 { throw Errno.ioError }
          done += read
        }
      }
    } catch {
      throw error as? Errno ?? .ioError
    }
  }
}
