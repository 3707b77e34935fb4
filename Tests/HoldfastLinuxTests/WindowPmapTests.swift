import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Windows against the kernel's own view of them. Frame `n` of the arena starts with the number
/// `n`.
struct WindowPmapTests {
  private let arena: Arena
  private let window: WindowPmap

  init() throws {
    arena = try Arena(size: .mebibytes(16), backing: .base)
    for frame in 0..<UInt64(4096) {
      arena.write([frame].span.bytes, to: Frame(frame), offset: .zero)
    }
    window = try WindowPmap(arena: arena, length: .mebibytes(64), host: HostProbe().host())
  }

  private func run(_ frame: UInt64, _ count: UInt64) -> FrameRun {
    FrameRun(Frame(frame), PageCount(count))
  }

  private func address(_ page: UInt64) -> Address { Address(page << 12) }

  private func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(from: address(pages.lowerBound), to: address(pages.upperBound))
  }

  /// The number at the start of a page, as a guest sees it.
  private func number(_ page: UInt64) -> UInt64 {
    UnsafePointer<UInt64>(bitPattern: UInt(window.hostRange.address + page << 12))!.pointee
  }

  /// The permissions of a page in `/proc/self/maps`.
  private func access(_ page: UInt64) throws -> String {
    let place = window.hostRange.address + page << 12
    let text = HostFiles(root: "/").text("/proc/self/maps", limit: 1 << 24) ?? ""
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      let bounds = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      if bounds[0] <= place, place < bounds[1] { return String(words[1]) }
    }
    return ""
  }

  private func view(_ range: AddressRange, _ first: FrameRun) throws -> KernelView {
    try window.kernelView(of: range) { $0(range.start, first) }
  }

  @Test func `a run is one mapping of the right frames, present without an access`() throws {
    try window.enter(
      run(100, 700), at: address(512), protection: .readWrite, wired: true, reach: nil)
    let view = try view(range(512..<1212), run(100, 700))
    #expect(view.present == 700 << 12 && view.resident == 700 << 12)
    #expect(view.misplacedPages == 0)
    #expect(view.comparedPages == (HostNeeds.seesFrames ? 700 : 0))
    #expect(window.extentCount == 1)
    for page in 0..<UInt64(700) { #expect(number(512 + page) == 100 + page) }
    #expect(try access(511) == "---p" && access(512) == "rw-s" && access(1212) == "---p")
    // The check finds wrong frames.
    let wrong = try self.view(range(512..<1212), run(101, 700))
    #expect(wrong.misplacedPages == (HostNeeds.seesFrames ? 700 : 0))
  }

  @Test func `pages that come one by one share a mapping, whose rest is inaccessible`()
    throws
  {
    for page in 0..<UInt64(300) {
      try window.enter(
        run(1024 + page, 1), at: address(page), protection: .readWrite, wired: true,
        reach: range(0..<512))
    }
    #expect(window.extentCount == 1)
    let view = try view(range(0..<512), run(1024, 512))
    if window.userFaultProblem == nil { #expect(view.present == 300 << 12) }
    for page in 0..<UInt64(300) { #expect(number(page) == 1024 + page) }
    // The region of the next superpage merges, as the file continues too.
    try window.enter(
      run(1024 + 512, 1), at: address(512), protection: .readWrite, wired: true,
      reach: range(512..<1024))
    #expect(window.extentCount == 1)
    // A page that lies elsewhere gets its own mapping; its neighbours stay.
    try window.enter(run(7, 1), at: address(5), protection: .readWrite, wired: true, reach: nil)
    #expect(number(4) == 1028 && number(5) == 7 && number(6) == 1030)
    #expect(window.extentCount == 3)
  }

  @Test func `base pages in a trapped region are installed at once`() throws {
    try window.enter(
      run(2048, 1), at: address(0), protection: .readWrite, wired: true, reach: range(0..<512))
    try window.enter(
      run(2050, 400), at: address(2), protection: .readWrite, wired: true, reach: nil)
    // Entering what is entered already changes nothing.
    try window.enter(
      run(2048, 402), at: address(0), protection: .readWrite, wired: true, reach: nil)
    for page in 0..<UInt64(402) { #expect(number(page) == 2048 + page) }
    window.endReach(range(0..<512))
    #expect(window.extentCount == 1)
  }

  @Test func `removing removes the translations of the range and no other`() throws {
    try window.enter(run(0, 600), at: address(0), protection: .readWrite, wired: true, reach: nil)
    window.remove(range(100..<200))
    #expect(try access(99) == "rw-s" && access(100) == "---p" && access(200) == "rw-s")
    #expect(number(99) == 99 && number(200) == 200)
    #expect(window.extentCount == 2)
    window.remove(range(0..<16384))
    #expect(window.extentCount == 0)
    #expect(try access(99) == "---p")
  }

  @Test func `the kernel enforces the protection`() throws {
    try window.enter(run(0, 16), at: address(0), protection: .read, wired: true, reach: nil)
    #expect(try access(0) == "r--s")
    window.protect(range(4..<8), .readWrite)
    #expect(try access(3) == "r--s" && access(4) == "rw-s" && access(8) == "r--s")
    window.protect(range(0..<16), [])
    #expect(try access(4) == "---s")
  }

  @Test func `windows on one arena map the same memory`() throws {
    let other = try WindowPmap(arena: arena, length: .mebibytes(64), host: HostProbe().host())
    try window.enter(run(50, 1), at: address(3), protection: .readWrite, wired: true, reach: nil)
    try other.enter(run(50, 1), at: address(9), protection: .readWrite, wired: true, reach: nil)
    UnsafeMutablePointer<UInt64>(bitPattern: UInt(other.hostRange.address + 9 << 12))!.pointee = 77
    #expect(number(3) == 77)
  }

  @Test func `smaps is parsed, and other lines are left out`() {
    let text = """
      7f0000000000-7f0000400000 rw-s 00200000 00:01 1234   /memfd:holdfast-arena (deleted)
      Size:               4096 kB
      KernelPageSize:     2048 kB
      Shared_Hugetlb:     4096 kB
      VmFlags: rd wr sh mr mw me ms ht dd
      garbage
      7f-zz rw-s 0 0 0
      Rss: 18446744073709551615 kB
      """
    let mappings = KernelMapping.parse(text)
    #expect(mappings.count == 1)
    #expect(mappings.first?.range == 0x7f00_0000_0000..<0x7f00_0040_0000)
    #expect(mappings.first?["KernelPageSize"] == 2 << 20)
    #expect(mappings.first?.flags.contains("ht") == true)
    #expect(mappings.first?.path == "/memfd:holdfast-arena (deleted)")
    #expect(KernelMapping.parse("").isEmpty && KernelMapping.parse("\n\nRss: 4 kB").isEmpty)
  }
}
