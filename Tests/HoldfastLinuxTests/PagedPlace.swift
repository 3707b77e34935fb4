import CHoldfastLinux
import Glibc
import HoldfastCore
import HoldfastTestKit

@testable import HoldfastLinux

/// A window with demand paging on an arena of its own, whose pages a test enters by hand. Faults
/// that nobody serves are refused, so that no thread waits for ever.
final class PagedPlace {
  let arena: Arena
  let window: PagedWindow
  let handler: FaultHandler
  /// The backing's page.
  let page: UInt64

  init(
    _ backing: Backing = .base, pages: UInt64 = 2048,
    host: HostCapabilities = HostProbe().host(), forProcessors: Bool = false
  ) throws {
    page = backing.geometry.pageSize.rawValue
    arena = try Arena(size: ByteCount(pages * page), for: .paging, backing: backing, threads: 1)
    window = try PagedWindow(
      arena: arena, length: ByteCount(pages * page), host: host, forProcessors: forProcessors)
    let space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: Address(pages * page)), memory: arena.memory,
      pmap: window)
    handler = try FaultHandler(window: window, space: space) { _ in .refuse }
  }

  func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(from: Address(pages.lowerBound * page), to: Address(pages.upperBound * page))
  }

  func enter(
    _ frame: UInt64, _ pages: Range<UInt64>, _ protection: Protection = .readWrite,
    wired: Bool = false
  ) throws {
    try window.enter(
      FrameRun(Frame(frame), PageCount(UInt64(pages.count))), at: range(pages).start,
      protection: protection, wired: wired, reach: nil)
  }

  func isReachable(_ page: UInt64) -> Bool {
    canRead(window.hostRange.address + page * self.page)
  }

  /// Whether a page is in the page tables.
  func isPresent(_ page: UInt64) -> Bool {
    isInPageTables(window.hostRange.address + page * self.page)
  }

  /// The bytes of the window that are in the page tables.
  func entered(_ pages: Range<UInt64>) throws -> UInt64 {
    let start = window.hostRange.address
    let found = try KernelMapping.all(
      overlapping: start + pages.lowerBound * page..<start + pages.upperBound * page)
    return found.reduce(0) { $0 + $1["Rss"] + $1["Shared_Hugetlb"] + $1["Private_Hugetlb"] }
  }
}

/// Whether this process can read the byte at an address; without, the answer is an error, no signal.
func canRead(_ address: UInt64) -> Bool {
  var ends: [Int32] = [0, 0]
  precondition(pipe(&ends) == 0)
  defer { for end in ends { close(end) } }
  return write(ends[1], UnsafeRawPointer(bitPattern: UInt(address))!, 1) == 1
}

/// Whether the page at an address is in this process's page tables, by bit 63 of
/// `/proc/self/pagemap`.
func isInPageTables(_ address: UInt64) -> Bool {
  let file = open("/proc/self/pagemap", O_RDONLY)
  precondition(file >= 0)
  defer { close(file) }
  var entry: UInt64 = 0
  precondition(pread(file, &entry, 8, off_t(address / 4096 * 8)) == 8)
  return entry >> 63 == 1
}

/// The number of mappings that the kernel has in a window.
func kernelMappings(_ range: HostRange) -> Int {
  let window = range.address..<range.address + range.length.rawValue
  let text = HostFiles(root: "/").text("/proc/self/maps", limit: 1 << 26) ?? ""
  return text.utf8.split(separator: UInt8(ascii: "\n")).count { line in
    let words = line.split(separator: UInt8(ascii: " "))
    let bounds = words[0].split(separator: UInt8(ascii: "-"))
      .compactMap { UInt64(Substring($0), radix: 16) }
    return bounds.count == 2 && (bounds[0]..<bounds[1]).overlaps(window)
  }
}

/// Uses up the mappings of this process, so that the kernel splits none any more. For processes of
/// exit tests.
enum FullProcess {
  /// - Parameter left: how many mappings the kernel still allows.
  static func fill(left: Int = 0) {
    let pages = 200_000
    let start = mmap(
      nil, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)!
    precondition(start != MAP_FAILED)
    var page = 0
    while page < pages, mprotect(start + page * 4096, 4096, PROT_READ) == 0 { page += 2 }
    precondition(page < pages && errno == ENOMEM)
    // The kernel allows one or two more by mmap(2).
    var one = PROT_READ
    while mmap(nil, 4096, one, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED {
      one = one == PROT_READ ? PROT_READ | PROT_WRITE : PROT_READ
    }
    for number in 0..<left / 2 { munmap(start + (2 * number + 1) * 4096, 4096) }
  }
}
