import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// The mappings that windows count against those of the kernel.
struct WindowMappingsTests {
  private static var backings: [Backing] {
    [.base] + (HostNeeds.hugePages(.mebibytes(128)) ? [.hugetlb2M] : [])
      + (HostNeeds.sharedHugePages ? [.thp] : [])
  }

  fileprivate static let protections: [Protection] = [.readWrite, .read, [], .all]

  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `a window with demand paging counts what the kernel counts, whatever is done`() throws {
    try HugePageLock.withLock {
      for backing in Self.backings {
        for seed in 1...3 as ClosedRange<UInt64> { try Self.checkPaged(backing, seed) }
      }
    }
  }

  static func checkPaged(_ backing: Backing, _ seed: UInt64) throws {
    let pages: UInt64 = backing == .hugetlb2M ? 32 : 4096
    let place = try PagedPlace(backing, pages: pages)
    let window = place.window
    var random = SeededGenerator(seed: seed)
    #expect(window.mappingCount == 1 && kernelMappings(window.hostRange) == 1)
    for step in 0..<300 {
      let first = UInt64.random(in: 0..<pages, using: &random)
      let longest = pages / (Bool.random(using: &random) ? 4 : 16)
      let end = min(pages, first + UInt64.random(in: 1...longest, using: &random))
      let range = place.range(first..<end)
      let protection = protections.randomElement(using: &random) ?? .read
      switch Int.random(in: 0..<9, using: &random) {
      case 0...3:
        let frame = frame(for: first..<end, of: pages, &random)
        try place.enter(
          frame, first..<end, protection.isEmpty ? .readWrite : protection,
          wired: Bool.random(using: &random))
      case 4, 5: window.remove(range)
      case 6: window.protect(range, protection)
      case 7: window.refresh(range)
      default:
        if window.refuse(place.range(first..<first + 1)) { window.wake(range) }
      }
      #expect(
        window.mappingCount == kernelMappings(window.hostRange),
        "\(backing), seed \(seed), step \(step)")
    }
    window.remove(place.range(0..<pages))
    #expect(try place.entered(0..<pages) == 0 && window.extentCount == 0)
    #expect(window.mappingCount == kernelMappings(window.hostRange))
  }

  /// The first frame for some pages: beside those of their neighbors as often as not.
  private static func frame(
    for range: Range<UInt64>, of pages: UInt64, _ random: inout SeededGenerator
  ) -> UInt64 {
    Bool.random(using: &random)
      ? range.lowerBound
      : UInt64.random(in: 0...pages - UInt64(range.count), using: &random)
  }

  @Test func `a window without demand paging counts what the kernel counts`() throws {
    try HugePageLock.withLock {
      for backing in Self.backings {
        for usesUserFault in [true, false] { try check(backing, usesUserFault) }
      }
    }
  }

  private func check(_ backing: Backing, _ usesUserFault: Bool) throws {
    let page = backing.geometry.pageSize.rawValue
    let pages: UInt64 = backing == .hugetlb2M ? 32 : 4096
    let arena = try Arena(size: ByteCount(pages * page), backing: backing, threads: 1)
    let window = try WindowPmap(
      arena: arena, length: ByteCount(pages * page), host: HostProbe().host(),
      usesUserFault: usesUserFault)
    var random = SeededGenerator(seed: 7)
    for step in 0..<300 {
      let first = UInt64.random(in: 0..<pages, using: &random)
      let end = min(pages, first + UInt64.random(in: 1...pages / 8, using: &random))
      let range = AddressRange(from: Address(first * page), to: Address(end * page))
      let protection = Self.protections.randomElement(using: &random) ?? .read
      switch Int.random(in: 0..<6, using: &random) {
      case 0...2:
        let frame = Self.frame(for: first..<end, of: pages, &random)
        let hasReach = Bool.random(using: &random)
        if hasReach { window.remove(range) }
        try window.enter(
          FrameRun(Frame(frame), hasReach ? .one : PageCount(end - first)), at: range.start,
          protection: .readWrite, wired: true, reach: hasReach ? range : nil)
        if hasReach { window.endReach(range) }
      case 3, 4: window.remove(range)
      default: window.protect(range, protection)
      }
      #expect(
        window.mappingCount == kernelMappings(window.hostRange),
        "\(backing), \(usesUserFault), step \(step)")
    }
  }

  /// A locked mapping would not be joined with one that is not.
  @Test(.enabled(if: HostNeeds.userFault && HostNeeds.isRoot, "needs root and userfaultfd"))
  func `mappings are counted as the kernel does when it locks new ones`() async {
    await #expect(processExitsWith: .success) {
      precondition(mlockall(MCL_FUTURE) == 0)
      for seed in 1...3 as ClosedRange<UInt64> { try WindowMappingsTests.checkPaged(.base, seed) }
    }
  }

  @Test(.enabled(if: HostNeeds.hugePages(.mebibytes(64)), "\(HostNeeds.hugePagesComment)"))
  func `mappings of huge pages are counted one by one, also where the file continues`() throws {
    try HugePageLock.withLock {
      let place = try PagedPlace(.hugetlb2M, pages: 16)
      for page in 0..<UInt64(16) { try place.enter(page, page..<page + 1) }
      #expect(place.window.extentCount == 1)
      #expect(place.window.mappingCount == 16)
      #expect(kernelMappings(place.window.hostRange) == 16)
    }
  }

  @Test func `pages that are entered alternately take one mapping`() throws {
    let place = try PagedPlace(.base, pages: 2048)
    for page in stride(from: UInt64(0), to: 2048, by: 2) { try place.enter(page, page..<page + 1) }
    #expect(place.window.extentCount == 1024)
    #expect(place.window.mappingCount == kernelMappings(place.window.hostRange))
    #expect(place.window.mappingCount < 8)
    // Neither does a page that is write-protected or removed.
    for page in stride(from: UInt64(0), to: 2048, by: 6) {
      place.window.protect(place.range(page..<page + 1), .read)
      place.window.remove(place.range(page + 2..<page + 3))
    }
    #expect(place.window.mappingCount < 8)
    #expect(place.window.mappingCount == kernelMappings(place.window.hostRange))
  }
}
