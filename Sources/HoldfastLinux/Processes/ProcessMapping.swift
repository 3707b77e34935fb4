internal import Glibc
package import HoldfastCore
package import SystemPackage

/// A mapping of a file in another process (proc_pid_maps(5)).
package struct ProcessMapping: Hashable, Sendable {
  /// The addresses.
  package let range: Range<UInt64>
  /// The byte of the file that is at the first address.
  package let offset: UInt64
  /// Whether the process may write to it.
  package let isWritable: Bool
  /// Whether what the process writes reaches the file.
  package let isShared: Bool

  /// A page that the process has in its page tables.
  package struct Page: Hashable, Sendable {
    /// The number of the page in the file.
    package let number: UInt64
    /// Whether it is the process's own copy.
    package let isOwn: Bool
  }

  private static let longestTable = 16 << 20

  /// The mappings of a file in a process.
  ///
  /// - Throws: `permissionDenied` where this process may not look into that one; `noSuchProcess`.
  /// - Complexity: O(mappings of the process).
  package static func mappings(
    of file: FileStatus, path: String, in process: HostProcess
  ) throws(Errno) -> [ProcessMapping] {
    let bytes = try process.read("maps", atMost: longestTable)
    return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      mapping(String(decoding: line, as: UTF8.self), file, path)
    }
  }

  /// Reads a line: `7f00-7f01 rw-s 00000000 00:2a 17 /dev/hugepages/vm`.
  private static func mapping(
    _ line: String, _ file: FileStatus, _ path: String
  ) -> ProcessMapping? {
    let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
    guard words.count >= 5, UInt64(words[4]) == file.inode else { return nil }
    // Some file systems tell another device here than to stat(2).
    let isDevice = words[3] == file.deviceText
    guard isDevice || (words.count == 6 && words[5] == path) else { return nil }
    let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
    guard ends.count == 2, ends[0] < ends[1], let offset = UInt64(words[2], radix: 16) else {
      return nil
    }
    return ProcessMapping(
      range: ends[0]..<ends[1], offset: offset, isWritable: words[1].contains("w"),
      isShared: words[1].hasSuffix("s"))
  }

  /// Calls `body` with each page that the process has touched, in ascending order. A page of its
  /// own that was swapped out counts.
  ///
  /// - Parameter pageSize: the size of the pages, a multiple of 4 KiB.
  /// - Throws: `permissionDenied` where this process may not look into that one.
  /// - Complexity: O(pages), a few nanoseconds for one of 4 KiB and a system call for a larger one.
  package func forEachPage(
    of process: HostProcess, pageSize: ByteCount, _ body: (Page) -> Void
  ) throws(Errno) {
    let map = try process.open("pagemap")
    let (step, page) = (pageSize.rawValue / 4096, pageSize.rawValue)
    let first = range.lowerBound / 4096
    let count = UInt64(range.count) / page
    // One entry of each large page is read, or all entries of small ones, 256 KiB at a time.
    let chunk: UInt64 = step >= 64 ? 1 : (1 << 15) / step
    var next: UInt64 = 0
    while next < count {
      let part = min(chunk, count - next)
      let entries = chunk == 1 ? 1 : part * step
      let bytes = try map.bytes(at: (first + next * step) * 8, count: Int(entries) * 8)
      for index in 0..<part where Int(index * step) * 8 + 7 < bytes.count {
        // The highest byte has the flags: present, swapped, of a file.
        let flags = bytes[Int(index * step) * 8 + 7]
        let isOfFile = flags & 0x20 != 0
        guard flags & 0x80 != 0 || (flags & 0x40 != 0 && !isOfFile) else { continue }
        body(Page(number: offset / page + next + index, isOwn: !isOfFile))
      }
      next += part
    }
  }
}
