import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

struct ArenaTests {
  private func host(_ change: (inout HostCapabilities) -> Void = { _ in }) -> HostCapabilities {
    var host = HostProbe().host()
    change(&host)
    return host
  }

  private func bytes(_ arena: Arena, _ frame: UInt64, _ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: count)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    arena.read(Frame(frame), offset: .zero, into: &raw, 0..<count)
    return bytes
  }

  private func backings() -> [Backing] {
    [.base] + (HostNeeds.sharedHugePages ? [.thp] : [])
      + (HostNeeds.hugePages(.mebibytes(64)) ? [.hugetlb2M] : [])
  }

  @Test func `an arena is zeroed and resident`() throws {
    try HugePageLock.withLock { try checkBackings() }
  }

  private func checkBackings() throws {
    for backing in backings() {
      let arena = try Arena(size: .mebibytes(20), backing: backing, threads: 2)
      #expect(arena.size == .mebibytes(20) && arena.backing == backing)
      let pages = arena.geometry.pages(in: arena.size)
      #expect(arena.allocator.occupancy.zeroed == pages)
      #expect(arena.preparation.duration > .zero)
      #expect(bytes(arena, pages.rawValue - 1, 4096).allSatisfy { $0 == 0 })
    }
  }

  @Test func `an arena leaves no descriptor or mapping, even if it cannot be created`() async {
    // In a separate process, since other tests open and map files too.
    await #expect(processExitsWith: .success) {
      let files = HostFiles(root: "/")
      // Threads that share work keep descriptors, which the first arena opens.
      _ = try Arena(size: .mebibytes(600), backing: .base, threads: 2)
      let before = files.names(in: "/proc/self/fd").count
      do {
        let arena = try Arena(size: .mebibytes(20), backing: .base, threads: 2)
        let window = try WindowPmap(arena: arena, length: .gibibytes(1), host: HostProbe().host())
        try window.enter(
          FrameRun(Frame(0), .one), at: .zero, protection: .readWrite, wired: true, reach: nil)
        precondition(files.names(in: "/proc/self/fd").count > before)
      }
      var host = HostProbe().host()
      host.memory.available = .tebibytes(1 << 20)
      host.cgroup.memory = nil
      // The kernel has no file of this size.
      precondition((try? Arena(size: .tebibytes(1 << 19), backing: .base, host: host)) == nil)
      precondition(files.names(in: "/proc/self/fd").count == before)
      let mappings = try KernelMapping.all(overlapping: 0..<UInt64.max)
      precondition(mappings.allSatisfy { !$0.path.contains("holdfast-arena") })
    }
  }

  @Test func `sizes are rounded up to pages`() throws {
    #expect(try Arena(size: ByteCount(1), backing: .base).size == .kibibytes(4))
    try HugePageLock.withLock { () throws in
      guard HostNeeds.hugePages(.mebibytes(64)) else { return }
      #expect(try Arena(size: .mebibytes(3), backing: .hugetlb2M).size == .mebibytes(4))
    }
  }

  @Test(arguments: [1, 2]) func `zeroing covers every byte of the runs and no other`(threads: Int)
    throws
  {
    let arena = try Arena(size: .mebibytes(40), backing: .base, threads: threads)
    let dirt = [UInt8](repeating: 0xA5, count: Int(arena.size.rawValue))
    arena.write(dirt.span.bytes, to: Frame(0), offset: .zero)
    // Below and above what is left to the caller alone and to ordinary stores.
    let runs = [(1, 1), (3, 15), (20, 17), (100, 400), (1000, 8000)]
      .map { FrameRun(Frame($0.0), PageCount($0.1)) }
    arena.zero(runs)
    for page in 0..<UInt64(10240) {
      let expected: UInt8 = runs.contains { $0.contains(Frame(page)) } ? 0 : 0xA5
      guard bytes(arena, page, 4096) != [UInt8](repeating: expected, count: 4096) else { continue }
      Issue.record("page \(page) is not all \(expected)")
    }
  }

  @Test func `frames are copied`() throws {
    let arena = try Arena(size: .mebibytes(1), backing: .base)
    let text = Array("held fast".utf8)
    arena.write(text.span.bytes, to: Frame(3), offset: ByteCount(4092))
    arena.copy(from: FrameRun(Frame(3), PageCount(2)), to: Frame(9))
    #expect(Array(bytes(arena, 9, 8192)[4092..<4101]) == text)
  }

  @Test func `a shortage of huge pages names size, need, free pages and the remedy`() {
    let pool = HostCapabilities.HugePages(
      size: .mebibytes(2), total: PageCount(7), free: PageCount(5), reserved: PageCount(2),
      surplus: .zero, overcommit: .zero)
    let host = host { $0.hugePages = [pool] }
    let error = #expect(throws: HoldfastError.self) {
      try Arena(size: .gibibytes(1), backing: .hugetlb2M, host: host)
    }
    #expect(error?.reason == "512 hugetlb pages of 2 MiB are needed, 3 are free")
    #expect(error?.advice?.description.contains("echo 516 ") == true)
    #expect(error?.advice?.description.contains("hugepages-2048kB/nr_hugepages") == true)
  }

  @Test func `a shortage of memory is an error before any is taken`() {
    let host = host { $0.memory.available = .mebibytes(100) }
    let error = #expect(throws: HoldfastError.self) {
      try Arena(size: .mebibytes(100), backing: .base, host: host)
    }
    #expect(error?.reason.contains("25600 pages of 4 KiB are needed, 25600 are available") == true)
    #expect(throws: HoldfastError.self) { try Arena(size: .zero) }
    #expect(throws: HoldfastError.self) { try Arena(size: ByteCount(.max), backing: .base) }
    #expect(throws: HoldfastError.self) { try Arena(size: ByteCount(.max)) }
  }

  @Test func `a refusal of the kernel is an error too`() {
    // The probe is made to promise pages that the pool does not have.
    let pool = HostCapabilities.HugePages(
      size: .mebibytes(2), total: PageCount(1 << 20), free: PageCount(1 << 20), reserved: .zero,
      surplus: .zero, overcommit: .zero)
    let host = host { $0.hugePages = [pool] }
    let error = #expect(throws: HoldfastError.self) {
      try Arena(size: .gibibytes(100), backing: .hugetlb2M, host: host)
    }
    #expect(error?.errno == 12)
    #expect(error?.reason.hasPrefix("51200 hugetlb pages of 2 MiB are needed, ") == true)
  }

  @Test func `the automatic choice tries the next backing if the kernel refuses one`() throws {
    let giant = HostCapabilities.HugePages(
      size: .gibibytes(1), total: PageCount(1), free: PageCount(1), reserved: .zero,
      surplus: .zero, overcommit: .zero)
    let host = host { $0.hugePages = [giant] }
    guard
      !HostProbe().host().hugePages.contains(where: {
        $0.size == giant.size && $0.available > .zero
      })
    else { return }
    let arena = try Arena(size: .gibibytes(1), host: host)
    #expect([.thp, .thpPrivate, .base].contains(arena.backing))
    #expect(
      arena.preparation.fallbacks.first
        == "hugetlb-1G: 1 hugetlb page of 1 GiB is needed, 0 are free")
  }

  @Test func `the automatic choice takes the best backing and explains its fallbacks`() throws {
    let bare = host {
      $0.hugePages = []
      $0.transparentHugePages.sharedMemory = .never
      $0.transparentHugePages.privateMemory = .never
    }
    let arena = try Arena(size: .mebibytes(8), host: bare)
    #expect(arena.backing == .base)
    let fallbacks = arena.preparation.fallbacks
    #expect(fallbacks.count == 4 && fallbacks[2].contains("shmem_enabled is never"))
    #expect(fallbacks[3].contains("off for private memory (enabled is never)"))
    // The usual host: no huge pages are reserved, and none are for shared memory.
    var usual = bare
    usual.transparentHugePages.privateMemory = .madvise
    #expect(try Arena(size: .mebibytes(8), host: usual).backing == .thpPrivate)
    if HostNeeds.sharedHugePages {
      let withHuge = host { $0.hugePages = [] }
      #expect(try Arena(size: .mebibytes(8), host: withHuge).backing == .thp)
    }
    try HugePageLock.withLock { () throws in
      guard HostNeeds.hugePages(.mebibytes(64)) else { return }
      #expect(try Arena(size: .mebibytes(8)).backing == .hugetlb2M)
      // No multiple of 2 MiB: not worth the rest of a huge page.
      #expect(try Arena(size: .mebibytes(7), host: bare).backing == .base)
    }
  }
}
