import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// No number traps, whatever the call, and none of this host's settings is needed for that.
struct BadValueTests {
  private static let numbers: [UInt64] =
    [0, 1, 4095, 4097, 1 << 12, 1 << 21, 1 << 30, 1 << 47, 1 << 62, 1 << 63, .max - 4095, .max]
  private static let signed: [Int] = [.min, -1, 0, 1, 4096, .max]

  private func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch is HoldfastError {}
  }

  /// A host whose kernel reports a number everywhere.
  private func host(_ number: UInt64) throws -> HostCapabilities {
    var host = HostProbe().host()
    let size = ByteCount(number)
    host.memory = .init(total: size, free: size, available: size)
    host.cgroup = .init(
      memory: .init(file: "f", limit: size, remaining: size), processors: Double(number))
    host.pageSize = size
    host.defaultHugePageSize = size
    host.maximumMapCount = number
    host.processors = HostCapabilities.Processors(
      model: nil, vendor: nil, online: Int(truncatingIfNeeded: number),
      usable: Int(truncatingIfNeeded: number))
    for page in [size, .mebibytes(2), .gibibytes(1)] {
      host.hugePages.append(
        .init(
          size: page, total: PageCount(number), free: PageCount(number),
          reserved: PageCount(number / 2), surplus: PageCount(number),
          overcommit: PageCount(number),
          cgroup: .init(file: "/limit", limit: size, remaining: size)))
    }
    // Two nodes of the same number, which no kernel has but a decoded value may.
    for _ in 0..<2 {
      host.nodes.append(
        .init(
          id: NodeID(UInt32(truncatingIfNeeded: number)), total: size, free: size, available: size,
          hugePages: [.init(size: size, total: PageCount(number), free: PageCount(number))],
          processors: [0, .max - 1, .max, 0], usableProcessors: [.max],
          distances: host.nodes.map { _ in .min }, isAllowed: true))
    }
    host.privileges.memoryLockLimit = size
    return host
  }

  @Test func `reports and advice for any host`() throws {
    for number in Self.numbers {
      var host = try host(number)
      for memory in Self.numbers {
        let advice = HostAdvice(host, memory: ByteCount(memory))
        #expect(!HostReport.text(host, advice: advice).isEmpty)
        _ = host.privileges.mayLock(ByteCount(memory))
      }
      _ = (HostAdvice(host), host.parallelism, host.memoryNodes, host.availableForGuests)
      _ = (HostReport.rounded(ByteCount(number)), host.node(NodeID(.max)))
      for pool in host.hugePages { _ = (pool.available, pool.availableBytes) }
      for quota in [Double.nan, -.infinity, .infinity, 1e300, -1] {
        host.cgroup.processors = quota
        _ = (host.parallelism, HostReport.text(host))
      }
      // What was written is read again.
      host.cgroup.processors = 1
      let copy = try JSONDecoder().decode(
        HostCapabilities.self, from: try JSONEncoder().encode(host))
      #expect(copy == host)
    }
    let zeroing = #"{"kernel":"rep-stosb","origin":"measured","threads":-1,"speeds":["#
    for speed in ["1e300", "-1e300", "0"] {
      let text = zeroing + #"{"kernel":"rep-stosb","bytesPerSecond":\#(speed)}]}"#
      if let choice = try? JSONDecoder().decode(ZeroingChoice.self, from: Data(text.utf8)) {
        _ = HostReport.text(HostProbe().host(), zeroing: choice)
      }
    }
  }

  @Test func `arenas of any size on any host`() throws {
    for number in Self.numbers {
      let host = try host(number)
      for size in Self.numbers where size == 0 || size > 1 << 46 {
        for backing in Backing.allCases {
          try attempt {
            _ = try Arena(
              size: ByteCount(size), maximum: ByteCount(number), backing: backing, host: host)
          }
          try attempt {
            _ = try Arena(
              size: ByteCount(size), backing: backing, nodes: .bind(NodeID(.max)), host: host)
          }
        }
        try attempt { _ = try Arena(size: ByteCount(size), for: .paging, host: host, threads: 1) }
      }
    }
    for threads in Self.signed {
      let arena = try Arena(size: .mebibytes(2), backing: .base, threads: threads)
      #expect(arena.size == .mebibytes(2))
    }
    #expect(throws: HoldfastError.self) { try HostNodes([]) }
    #expect(throws: HoldfastError.self) { try Arena(adoptingZeroed: -1) }
  }

  @Test func `changes of an arena, and windows on it`() throws {
    let arena = try Arena(size: .mebibytes(4), maximum: .mebibytes(8), backing: .base)
    let host = HostProbe().host()
    for number in Self.numbers where number == 0 || number > 1 << 21 {
      try attempt { try arena.grow(by: ByteCount(number)) }
      try attempt { _ = try WindowPmap(arena: arena, length: ByteCount(number), host: host) }
      try attempt { _ = try PagedWindow(arena: arena, length: ByteCount(number), host: host) }
      try attempt { _ = try arena.shrink(by: ByteCount(number)) }
    }
  }

  @Test func `options of scrubbers and handlers`() throws {
    let arena = try Arena(size: .mebibytes(2), backing: .base)
    for threads in Self.signed {
      for rate in [nil] + Self.numbers.map({ ByteCount($0) }) {
        try attempt {
          let scrubber = try Scrubber(
            memory: arena.memory, options: .init(threads: min(threads, 2000), rate: rate))
          #expect(threads == 1 && rate != .zero)
          for seconds in [-1e18, 0, 1e19] {
            _ = scrubber.waitUntilZeroed(atMost: .seconds(seconds))
          }
          _ = scrubber.statistics
          scrubber.stop()
        }
      }
    }
    guard HostNeeds.userFault else { return }
    let window = try PagedWindow(arena: arena, length: .mebibytes(2), host: HostProbe().host())
    let bounds = try #require(AddressRange(start: .zero, length: .mebibytes(2)))
    let other = try AddressSpace(bounds: bounds, memory: arena.memory, pmap: NullPmap())
    #expect(throws: HoldfastError.self) { try FaultHandler(window: window, space: other) }
    let space = try AddressSpace(bounds: bounds, memory: arena.memory, pmap: window)
    try FaultHandler(window: window, space: space, threadLimit: .min).stop()
  }

  @Test func `pools of pages of any size`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 8, free: 4))
    for size in Self.numbers {
      for count in Self.numbers {
        let pool = HugePagePool(size: ByteCount(size), node: NodeID(.max), root: tree.root)
        try attempt { try pool.increase(by: PageCount(count)).giveBack() }
        _ = pool.path
      }
    }
    let pool = HugePagePool(size: .mebibytes(2), root: tree.root)
    try attempt { try pool.increase(by: PageCount(.max)).giveBack() }
    _ = (HostProbe(root: "").host(), HostProbe(root: "/nowhere\0").host())
  }

  @Test func `pages of a file that it does not have`() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())").path
    try Data(count: 10_000).write(to: URL(filePath: file))
    defer { try? FileManager.default.removeItem(atPath: file) }
    for offset in Self.numbers {
      try attempt { _ = try FilePager(path: file, offset: ByteCount(offset), geometry: .giant) }
    }
    let pager = try FilePager(path: file, geometry: .small)
    for start in Self.numbers {
      for count in Self.numbers {
        let range = PageRange(start: PageIndex(start), count: PageCount(count))
        #expect(pager.pages(at: range.start, limit: range.count) <= range.count)
        #expect(range.contains(pager.hole(around: range.start, in: range)))
        _ = pager.hole(around: PageIndex(.max), in: range)
        if start > 1 << 50 {
          try attempt {
            try pager.read(range, into: FrameRun(Frame(0), range.count), NullFrameStore())
          }
        }
      }
    }
  }
}
