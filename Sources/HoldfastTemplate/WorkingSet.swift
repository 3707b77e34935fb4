public import HoldfastCore

/// The pages that a clone touched after its start, in order, which the next clones will touch too.
public struct WorkingSet: Hashable, Sendable {
  /// A page that was touched.
  public struct Page: Hashable, Sendable {
    /// The number of the page in the memory.
    public let number: UInt32
    /// Whether the clone wrote to it, so that it got a copy.
    public let isWritten: Bool

    /// Creates a page; the parameters are the properties.
    public init(_ number: UInt32, isWritten: Bool) {
      self.number = number
      self.isWritten = isWritten
    }
  }

  /// The size of the pages.
  public let pageSize: ByteCount
  /// The pages in the order of their first touch. None occurs twice.
  public let pages: [Page]

  /// Creates a working set. A page that occurs again is left out.
  public init(pageSize: ByteCount, pages: [Page]) {
    var known: Set<UInt32> = []
    self.pageSize = pageSize
    self.pages = pages.filter { known.insert($0.number).inserted }
  }

  private static let heading: [UInt8] = Array("holdfast-touched-1\n".utf8)
  /// The most pages that are kept, of which the record takes 4 MiB.
  static let mostPages = 1 << 20

  /// The record: a heading, the page size and the number of pages with 8 bytes each, then 4 bytes
  /// for each page, whose highest bit says that it was written. Numbers begin with the lowest byte.
  var bytes: [UInt8] {
    let kept = pages.prefix(Self.mostPages).filter { $0.number < 1 << 31 }
    var bytes = Self.heading
    func append(_ value: UInt64, _ count: Int) {
      for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
    append(pageSize.rawValue, 8)
    append(UInt64(kept.count), 8)
    for page in kept { append(UInt64(page.number) | (page.isWritten ? 1 << 31 : 0), 4) }
    return bytes
  }

  /// The longest record.
  static let longest = heading.count + 16 + 4 * mostPages

  /// Reads a record of a template's touched pages, and leaves out what lies outside of its memory.
  ///
  /// - Returns: nil where it is not a record, or is shorter than it says.
  init?(_ bytes: [UInt8], memory: ByteCount) {
    func number(_ offset: Int, _ count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }
    let start = Self.heading.count
    guard bytes.count >= start + 16, bytes.starts(with: Self.heading) else { return nil }
    let (pageSize, count) = (number(start, 8), number(start + 8, 8))
    guard pageSize >= 4096, pageSize.nonzeroBitCount == 1, count <= UInt64(Self.mostPages),
      bytes.count >= start + 16 + 4 * Int(count)
    else { return nil }
    let limit = memory.rawValue / pageSize
    let pages = (0..<Int(count)).compactMap { index -> Page? in
      let value = UInt32(number(start + 16 + 4 * index, 4))
      let page = Page(value & ~(1 << 31), isWritten: value >> 31 == 1)
      return UInt64(page.number) < limit ? page : nil
    }
    self.init(pageSize: ByteCount(pageSize), pages: pages)
  }
}
