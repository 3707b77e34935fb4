import Foundation
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// Guest memory that is saved to files and restored.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct SnapshotTests {}

extension SnapshotTests {
  static let size = 32 << 20
  static let all = AddressRange(from: .zero, to: Address(UInt64(size)))

  /// 32 MiB of zeros with runs of pages that hold something, if only in their last byte.
  static func pattern(seed: UInt64) -> [UInt8] { SparsePattern.bytes(size, seed: seed) }

  /// A guest with the bytes in memory, absent where the pages are zero.
  static func guest(_ backing: Backing, _ bytes: [UInt8]) throws -> GuestMemory {
    let guest = try DemandPagingTests.guest(
      backing, size: .mebibytes(96), paging: DemandPaging(granularity: .basePage))
    let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
    try guest.map(ram, at: .zero)
    try guest.freeSegment(ram)
    var start = 0
    while start < size {
      if !isZero(bytes, start) {
        try guest.write(Array(bytes[start..<start + 4096]), to: Address(UInt64(start)))
      }
      start += 4096
    }
    return guest
  }

  private static func isZero(_ bytes: [UInt8], _ start: Int) -> Bool {
    bytes.withUnsafeBytes { buffer in
      let page = buffer.baseAddress! + start
      return buffer[start] == 0 && memcmp(page, page + 1, 4095) == 0
    }
  }

  /// The first byte that differs in the guest's window, which is read page by page.
  private func mismatch(_ guest: GuestMemory, _ bytes: [UInt8]) -> Int? {
    let base = UnsafeRawPointer(bitPattern: UInt(guest.hostAddress))!
    return bytes.withUnsafeBytes { expected in
      stride(from: 0, to: expected.count, by: 4096).first {
        memcmp(base + $0, expected.baseAddress! + $0, 4096) != 0
      }
    }
  }

  @Test(arguments: [1, 2] as [UInt64])
  func `a snapshot has the guest's bytes, and is restored on demand and ahead`(seed: UInt64) throws
  {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() {
        try TemporaryFolder.with { folder in try check(backing, seed, folder + "/image") }
      }
    }
  }

  private func check(_ backing: Backing, _ seed: UInt64, _ path: String) throws {
    let bytes = Self.pattern(seed: seed)
    let guest = try Self.guest(backing, bytes)
    let resident = guest.residency(in: Self.all).residentBytes
    let last = Atomic<UInt64>(0)
    let receipt = try guest.save(Self.all, to: path) { done, total in
      #expect(done <= total && total == .mebibytes(32))
      last.max(done.rawValue, ordering: .relaxed)
    }
    #expect(last.load(ordering: .relaxed) == UInt64(Self.size))
    #expect(guest.residency(in: Self.all).residentBytes == resident)
    // Without Holdfast's code: the file's bytes, holes and permissions.
    #expect(try [UInt8](Data(contentsOf: URL(filePath: path))).isSame(as: bytes))
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
    let filled = stride(from: 0, to: Self.size, by: 4096).count { !Self.isZero(bytes, $0) }
    #expect(receipt.writtenBytes == ByteCount(UInt64(filled) << 12))
    #expect(receipt.bytes == .mebibytes(32) && receipt.duration >= receipt.syncDuration)
    // File systems use blocks for metadata too.
    #expect(Int(status.st_blocks) * 512 <= filled << 12 + 1 << 20, "\(backing)")
    guard backing != .hugetlb2M else { return try restore(backing, path, bytes) }
    try restore(backing, path, bytes)
    // One guest saves what another has not accessed yet.
    let arena = try Arena(size: .mebibytes(64), for: .paging, backing: backing, threads: 2)
    let other = try GuestMemory(arena: arena, limit: .mebibytes(32), demandPaging: DemandPaging())
    try other.map(try other.restoreSegment("ram", from: path), at: .zero)
    try other.save(Self.all, to: path + "2")
    #expect(try [UInt8](Data(contentsOf: URL(filePath: path + "2"))).isSame(as: bytes))
  }

  private func restore(_ backing: Backing, _ path: String, _ bytes: [UInt8]) throws {
    for granularity in [FaultGranularity.largePage, .basePage] {
      let arena = try Arena(size: .mebibytes(64), for: .paging, backing: backing, threads: 2)
      // Frames that another guest left behind must not show.
      do {
        let former = try GuestMemory(arena: arena, limit: .mebibytes(64))
        let ram = try former.allocateSegment("ram", size: .mebibytes(64))
        try former.map(ram, at: .zero, options: .wired)
        let base = UnsafeMutableRawPointer(bitPattern: UInt(former.hostAddress))!
        memset(base, 0xEE, 64 << 20)
      }
      let paging = DemandPaging(granularity: granularity)
      let guest = try GuestMemory(arena: arena, limit: .mebibytes(32), demandPaging: paging)
      let ram = try guest.restoreSegment("ram", from: path)
      #expect(ram.size == .mebibytes(32))
      try guest.map(ram, at: .zero)
      #expect(guest.residency(in: Self.all).residentBytes == .zero)
      #expect(mismatch(guest, bytes) == nil, "\(backing) \(granularity)")
      let thread = try #require(guest.faultHandler)
      func brought() -> UInt64 { thread.statistics.pagedFaults + thread.statistics.zeroedFaults }
      // The faulting thread may continue before the handler has counted its work.
      if granularity == .largePage { #expect(eventually { brought() >= 16 }) }
      let statistics = thread.statistics
      #expect(statistics.pagedFaults > 0 && statistics.failures == 0)
      if granularity == .largePage || backing == .hugetlb2M {
        #expect(brought() == 16, "\(statistics)")
      }
      #expect(guest.invariantProblems() == [])
      // The guest's writes do not change the file.
      GuestAccess(guest).write(77, to: 8192)
      #expect(try [UInt8](Data(contentsOf: URL(filePath: path))).isSame(as: bytes))
    }
    let arena = try Arena(size: .mebibytes(64), for: .paging, backing: backing, threads: 2)
    let ahead = try GuestMemory(arena: arena, limit: .mebibytes(32), demandPaging: DemandPaging())
    let last = Atomic<UInt64>(0)
    let ram = try ahead.restoreSegment("ram", from: path, prefetch: .prefetched(threads: 2)) {
      #expect($0 <= $1)
      last.max($0.rawValue, ordering: .relaxed)
    }
    #expect(last.load(ordering: .relaxed) > 0)
    try ahead.map(ram, at: .zero)
    #expect(mismatch(ahead, bytes) == nil, "\(backing)")
    #expect(ahead.faultHandler?.statistics.pagedFaults == 0)
    #expect(ahead.invariantProblems() == [])
  }

  @Test func `wiring reads a restored guest without a fault handler`() throws {
    try TemporaryFolder.with { folder in
      let bytes = Self.pattern(seed: 3)
      let path = folder + "/image"
      try Self.guest(.base, bytes).save(Self.all, to: path)
      let modes = HostProbe().host().transparentHugePages
      let hasPrivate = (modes.privateMemory ?? .never) != .never
      for backing in [Backing.base] + (hasPrivate ? [.thpPrivate] : []) {
        for prefetch in [SnapshotPrefetch.onDemand, .prefetched(threads: 3)] {
          // A segment in the arena's mapping gets its place when it is mapped.
          let arena = try Arena(size: .mebibytes(32), backing: backing, threads: 2)
          let guest = try GuestMemory(arena: arena, limit: .mebibytes(32))
          if backing == .thpPrivate, prefetch != .onDemand {
            let error = #expect(throws: HoldfastError.self) {
              try guest.restoreSegment("ram", from: path, prefetch: prefetch)
            }
            #expect(error?.code == .invalidArgument)
            continue
          }
          let ram = try guest.restoreSegment("ram", from: path, prefetch: prefetch)
          let receipt = try guest.map(ram, at: .zero, options: .wired)
          #expect(try receipt.verify().problems == [], "\(backing)")
          #expect(mismatch(guest, bytes) == nil, "\(backing)")
          #expect(guest.invariantProblems() == [], "\(backing)")
        }
      }
    }
  }

  @Test func `a fork is saved as it was while its parent runs`() throws {
    try TemporaryFolder.with { folder in
      let bytes = Self.pattern(seed: 4)
      let parent = try Self.guest(.base, bytes)
      let (child, _) = try parent.fork()
      let isOver = Atomic<Bool>(false)
      let touch = GuestAccess(parent)
      let thread = BackgroundTouch {
        var round: UInt64 = 1
        while !isOver.load(ordering: .acquiring) {
          for address in stride(from: UInt64(0), to: UInt64(Self.size), by: 40960) {
            touch.write(round, to: address)
          }
          round += 1
        }
      }
      defer {
        isOver.store(true, ordering: .releasing)
        thread.join()
      }
      try #require(eventually { touch.read(0) >= 2 })
      try child.save(Self.all, to: folder + "/image", threads: 2)
      #expect(try [UInt8](Data(contentsOf: URL(filePath: folder + "/image"))).isSame(as: bytes))
      #expect(touch.read(0) != UInt64(bytes[0]))
    }
  }
}
