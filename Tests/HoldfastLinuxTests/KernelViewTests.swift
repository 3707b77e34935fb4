import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// The two ways to ask the kernel about a window tell the same, on memory of each kind.
struct KernelViewTests {
  static let backings: [Backing] =
    [.base] + (HostNeeds.sharedHugePages ? [.thp] : [])
    + (HostNeeds.hugePages(.mebibytes(32)) ? [.hugetlb2M] : [])

  private static let size = ByteCount.mebibytes(32)

  /// A window with holes, of which smaps and the ioctl(2) calls must tell the same.
  private struct Place {
    let window: WindowPmap
    var runs: [(Address, FrameRun)] = []

    init(_ backing: Backing, limit: ByteCount = KernelViewTests.size) throws {
      let arena = try Arena(size: KernelViewTests.size, backing: backing, threads: 1)
      window = try WindowPmap(arena: arena, length: limit, host: HostProbe().host())
    }

    /// Maps a part of the arena, in bytes, at an address.
    mutating func enter(_ bytes: Range<UInt64>, at address: UInt64) throws {
      let page = window.arena.geometry.pageSize.rawValue
      let run = FrameRun(
        Frame(bytes.lowerBound / page), PageCount(UInt64(bytes.count) / page))
      try window.enter(
        run, at: Address(address), protection: .readWrite, wired: true, reach: nil)
      runs.append((Address(address), run))
    }

    func view(
      _ source: KernelView.Source, _ range: Range<UInt64>? = nil
    ) throws -> KernelView {
      let range = range ?? 0..<window.hostRange.length.rawValue
      return try window.kernelView(
        of: AddressRange(from: Address(range.lowerBound), to: Address(range.upperBound)),
        from: source
      ) { body in
        for (address, run) in runs { body(address, run) }
      }
    }
  }

  private static let mebibyte: UInt64 = 1 << 20

  @Test(arguments: backings)
  func `runs, holes and removed pages`(backing: Backing) throws {
    let mebibyte = Self.mebibyte
    var place = try Place(backing)
    try place.enter(0..<8 * mebibyte, at: 0)
    try place.enter(16 * mebibyte..<18 * mebibyte, at: 20 * mebibyte)
    try place.enter(8 * mebibyte..<16 * mebibyte, at: 22 * mebibyte)
    let step = backing == .base ? 4096 : 2 * mebibyte
    place.window.remove(
      AddressRange(from: Address(2 * mebibyte), to: Address(2 * mebibyte + step)))
    let queried = try place.view(.queries)
    #expect(queried == (try place.view(.files)))
    #expect(queried.present == 18 * mebibyte - step)
    #expect(queried.bytesByPageSize.values.reduce(0, +) == 18 * mebibyte - step)
    #expect(queried.locked == (HostNeeds.isRoot ? Self.size.rawValue : queried.locked))
    #expect(queried.misplacedPages == 0)
    if HostNeeds.seesFrames { #expect(queried.comparedPages == (18 * mebibyte - step) >> 12) }
    if backing == .hugetlb2M {
      #expect(Array(queried.bytesByPageSize.keys) == [.mebibytes(2)])
    }
  }

  @Test(arguments: backings)
  func `frames at the wrong place are found, page by page`(backing: Backing) throws {
    let mebibyte = Self.mebibyte
    var place = try Place(backing)
    try place.enter(0..<8 * mebibyte, at: 0)
    // What should be there is one large page further on.
    place.runs = place.runs.map { address, run in
      let pages = place.window.arena.geometry.pages(in: .mebibytes(2))
      return (address, FrameRun(run.start + pages, run.count))
    }
    let queried = try place.view(.queries)
    #expect(queried == (try place.view(.files)))
    #expect(queried.misplacedPages == (HostNeeds.seesFrames ? 8 * mebibyte >> 12 : 0))
  }

  /// Another mapping in a page's place, which the window does not know of.
  @Test(.enabled(if: HostNeeds.seesFrames, "needs CAP_SYS_ADMIN"), arguments: backings)
  func `a page that was mapped over is found`(backing: Backing) throws {
    var place = try Place(backing)
    try place.enter(0..<8 * Self.mebibyte, at: 0)
    let range = place.window.hostRange
    let length = backing == .hugetlb2M ? 2 * Self.mebibyte : 4096
    try range.map(
      4 * Self.mebibyte..<4 * Self.mebibyte + length, .readWrite,
      file: place.window.arena.file!.descriptor, offset: 0, advice: .basePages)
    try range.populate(4 * Self.mebibyte..<4 * Self.mebibyte + length, .readWrite)
    for source in KernelView.Source.allCases {
      #expect(try place.view(source).misplacedPages == length >> 12, "\(source)")
    }
  }

  @Test func `a part of a mapping is counted as far as it is in the range`() throws {
    var place = try Place(.base)
    try place.enter(0..<8 * Self.mebibyte, at: 0)
    place.runs = [(Address(4096), FrameRun(Frame(1), PageCount(100)))]
    let queried = try place.view(.queries, 4096..<4096 * 101)
    #expect(queried.present == 100 << 12 && !queried.isCut)
    #expect(queried.bytesByPageSize == [.kibibytes(4): 100 << 12])
    #expect(try place.view(.files, 4096..<4096 * 101).isCut)
  }

  /// What is not locked is not counted, also of an arena a part of which is.
  @Test(.enabled(if: HostNeeds.isRoot, "needs to lock memory"), arguments: [Backing.base])
  func `the kernel tells locked memory from other memory`(backing: Backing) throws {
    var place = try Place(backing)
    try place.enter(0..<8 * Self.mebibyte, at: 0)
    let direct = place.window.arena.directMap.range
    #expect(try place.view(.queries).locked == Self.size.rawValue)
    try direct.unlock(4 * Self.mebibyte..<12 * Self.mebibyte)
    for source in KernelView.Source.allCases {
      #expect(
        try place.view(source).locked == Self.size.rawValue - 8 * Self.mebibyte, "\(source)")
    }
    try direct.unlock(0..<Self.size.rawValue)
    for source in KernelView.Source.allCases {
      #expect(try place.view(source).locked == 0, "\(source)")
    }
  }

  /// Without pagemap's file, smaps has the rest.
  @Test func `pages that are not in the page tables are not present`() throws {
    var place = try Place(.base)
    try place.enter(0..<8 * Self.mebibyte, at: 0)
    try place.window.hostRange.dropTranslations(Self.mebibyte..<3 * Self.mebibyte)
    for source in KernelView.Source.allCases {
      let view = try place.view(source)
      #expect(view.present == 6 * Self.mebibyte, "\(source)")
      #expect(view.resident == 8 * Self.mebibyte, "\(source)")
      #expect(view.nodes.unknownBytes == 2 * Self.mebibyte, "\(source)")
    }
  }
}
