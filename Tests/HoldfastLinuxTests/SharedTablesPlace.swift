import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// An arena of a GiB of 2 MiB pages, and what the kernel knows of windows of it. Frame `n` starts
/// with the number `n`.
struct SharedTablesPlace {
  static let gibibyte = UInt64(1) << 30
  static let page = UInt64(1) << 21

  let arena: Arena

  /// Calls `body` with huge pages of its own, which leave the pool again.
  static func with(_ body: (SharedTablesPlace) throws -> Void) throws {
    try HugePageLock.withLock {
      let pages = try HugePagePool(size: .mebibytes(2)).increase(by: PageCount(512))
      defer { try? pages.giveBack() }
      try body(SharedTablesPlace())
    }
  }

  private init() throws {
    arena = try Arena(size: .gibibytes(1), backing: .hugetlb2M)
    for frame in 0..<UInt64(512) {
      arena.write([frame].span.bytes, to: Frame(frame), offset: .zero)
    }
  }

  func window(_ sharing: TableSharing) throws -> WindowPmap {
    try WindowPmap(
      arena: arena, length: .gibibytes(2), host: HostProbe().host(), usesUserFault: true,
      tableSharing: sharing)
  }

  func enter(
    _ window: WindowPmap, at page: UInt64, _ frames: Range<UInt64>,
    _ protection: Protection = .readWrite
  ) throws {
    try window.enter(
      FrameRun(Frame(frames.lowerBound), PageCount(UInt64(frames.count))),
      at: Address(page * Self.page), protection: protection, wired: true, reach: nil)
  }

  func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(
      from: Address(pages.lowerBound * Self.page), to: Address(pages.upperBound * Self.page))
  }

  /// The pages from an address on that are in the page tables, by pagemap.
  func present(_ address: UInt64, _ count: UInt64 = 512) throws -> Set<UInt64> {
    let file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    try #require(file >= 0)
    defer { close(file) }
    return try Set(
      (0..<count).filter { page in
        var entry: UInt64 = 0
        let place = (address + page * Self.page) >> 12 * 8
        try #require(pread(file, &entry, 8, off_t(place)) == 8)
        return entry >> 63 == 1
      })
  }

  func number(_ window: WindowPmap, _ page: UInt64) -> UInt64 {
    UnsafePointer<UInt64>(bitPattern: UInt(window.hostRange.address + page * Self.page))!.pointee
  }

  var direct: UInt64 { arena.directMap.range.address }

  /// The page faults of this thread during a body.
  func faults(_ body: () -> Void) -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(1), &usage)
    let before = usage.ru_minflt
    body()
    getrusage(__rusage_who_t(1), &usage)
    return usage.ru_minflt - before
  }

  func access(_ window: WindowPmap, _ page: UInt64) throws -> String {
    let place = window.hostRange.address + page * Self.page
    let text = HostFiles(root: "/").text("/proc/self/maps", limit: 1 << 24) ?? ""
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      let bounds = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      if bounds[0] <= place, place < bounds[1] { return String(words[1]) }
    }
    return ""
  }
}
