import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// A host with some mappings beyond those that are set aside for the process.
private func host(_ mappings: UInt64) -> HostCapabilities {
  var host = HostProbe().host()
  host.maximumMapCount = 8192 + mappings
  return host
}

private let paging = DemandPaging(granularity: .basePage)

private func range(_ start: UInt64, _ length: UInt64) -> AddressRange {
  AddressRange(from: Address(start), to: Address(start + length))
}

private func expect(_ error: HoldfastError) {
  precondition(error.code == .resourceShortage, "\(error)")
  precondition(error.advice == .raiseLimit("vm.max_map_count"), "\(error)")
}

/// Guests that use up the mappings of the process. In processes of their own, because mappings are
/// counted over all windows.
struct MappingRoomTests {
  /// All its pages are one mapping, present or absent.
  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `a guest that accesses every second page takes nothing from the others`() async {
    await #expect(processExitsWith: .success) {
      let arena = try Arena(size: .mebibytes(32), for: .paging, backing: .base, threads: 1)
      let guests = try (0..<2).map { _ in
        let guest = try GuestMemory(
          arena: arena, limit: .mebibytes(16), demandPaging: paging, host: host(200))
        try guest.map(try guest.allocateSegment("ram", size: .mebibytes(16)), at: .zero)
        return guest
      }
      // Errors, where a thread would wait.
      for page in stride(from: UInt64(0), to: 4096, by: 2) {
        try guests[0].space.fault(Address(page << 12), .write)
      }
      try guests[1].space.fault(.zero, .write)
      precondition(KernelAccess(guests[0]).write(1, to: 4094 << 12))
    }
  }

  /// Each copy lies elsewhere, so it is a mapping of its own.
  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `a guest that copies every second page leaves mappings for the first access of others`()
    async
  {
    await #expect(processExitsWith: .success) {
      let host = host(400)
      let arena = try Arena(size: .mebibytes(32), for: .paging, backing: .base, threads: 1)
      func guest(_ size: ByteCount, _ paging: DemandPaging?) throws -> GuestMemory {
        let guest = try GuestMemory(
          arena: arena, limit: .mebibytes(16), demandPaging: paging, host: host)
        try guest.map(
          try guest.allocateSegment("ram", size: size), at: .zero,
          options: paging == nil ? .wired : [])
        return guest
      }
      let one = try guest(.mebibytes(8), paging)
      for page in UInt64(0)..<2048 { try one.space.fault(Address(page << 12), .write) }
      let (child, _) = try one.fork()
      var copies = 0
      do throws(HoldfastError) {
        for page in stride(from: UInt64(0), to: 2048, by: 2) {
          try one.space.fault(Address(page << 12), .write)
          copies += 1
        }
        preconditionFailure("no limit")
      } catch {
        expect(error)
      }
      precondition(copies > 40, "\(copies)")
      let other = try guest(.mebibytes(2), paging)
      // An error, where a thread would wait.
      try other.space.fault(.zero, .write)
      _ = try guest(.mebibytes(2), nil)
      // What it has can still be taken from it, and then there is room again.
      try one.unmap(range(1 << 20, 1 << 20))
      try one.unmap(range(0, 8 << 20))
      precondition(one.space.entryViews.isEmpty && KernelAccess(child).read(0) == 0)
    }
  }

  /// The kernel never joins mappings of hugetlb files, so each page is one.
  private static func useHugePages(_ paging: DemandPaging?) throws {
    let page = UInt64(2 << 20)
    let size = 16 * page
    let arena = try Arena(size: ByteCount(size), for: .paging, backing: .hugetlb2M, threads: 1)
    let guest = try GuestMemory(
      arena: arena, limit: ByteCount(64 * size), demandPaging: paging, host: host(300))
    let ram = try guest.allocateSegment("ram", size: ByteCount(size))
    var failed: UInt64?
    for alias in UInt64(0)..<64 {
      let start = alias * size
      do throws(HoldfastError) {
        try guest.map(ram, at: Address(start), options: paging == nil ? .wired : [])
        for number in stride(from: UInt64(0), to: 16, by: paging == nil ? 2 : 1) {
          if paging != nil {
            try guest.space.fault(Address(start + number * page), .write)
          } else {
            let part = range(start + number * page, page)
            try guest.unmap(part)
            try guest.map(
              ram, at: part.start, offset: ByteCount(number * page), length: ByteCount(page),
              options: .wired)
          }
        }
      } catch {
        expect(error)
        failed = start
        break
      }
    }
    precondition(failed != nil)
    // A monitor takes memory away then: whole mappings, and the middle of others.
    try guest.unmap(range(failed!, size))
    try guest.unmap(range(0, size))
    try guest.unmap(range(size + 5 * page, page))
    precondition(guest.invariantProblems() == [])
  }

  @Test(.enabled(if: HostNeeds.hugePages(.mebibytes(64)), "\(HostNeeds.hugePagesComment)"))
  func `huge pages end in an error when they have used up the mappings`() async {
    await #expect(processExitsWith: .success) {
      try HugePageLock.withLock { try MappingRoomTests.useHugePages(nil) }
    }
  }

  @Test(
    .enabled(
      if: HostNeeds.userFault && HostNeeds.hugePages(.mebibytes(64)),
      "\(HostNeeds.hugePagesComment)"))
  func `huge pages that are paged in end in an error when they have used up the mappings`() async {
    await #expect(processExitsWith: .success) {
      try HugePageLock.withLock { try MappingRoomTests.useHugePages(paging) }
    }
  }

  /// The first run joins the mapping beside it and the second one finds no room.
  @Test func `a mapping that cannot be wired for want of mappings is removed`() async {
    await #expect(processExitsWith: .success) {
      for mappings in UInt64(4)..<16 {
        let arena = try Arena(size: .mebibytes(16), backing: .base, threads: 1)
        let guest = try GuestMemory(arena: arena, limit: .mebibytes(16), host: host(mappings))
        let first = try guest.allocateSegment("a", size: .mebibytes(2))
        let small = try guest.allocateSegment("b", size: .kibibytes(16))
        let other = try guest.allocateSegment("c", size: .kibibytes(16))
        do throws(HoldfastError) {
          try guest.map(first, at: .zero, options: .wired)
        } catch {
          expect(error)
          precondition(guest.space.entryViews.isEmpty)
          continue
        }
        try guest.map(small, at: Address(8 << 20))
        try guest.map(other, at: Address(9 << 20))
        // The frames alternate, so no two pages of one segment lie beside each other.
        for page in UInt64(0)..<4 {
          try guest.write([1], to: Address(8 << 20 + page << 12))
          try guest.write([1], to: Address(9 << 20 + page << 12))
        }
        try guest.unmap(range(8 << 20, 16 << 10))
        let before = guest.space.entryViews.count
        do throws(HoldfastError) {
          try guest.map(small, at: Address(2 << 20), options: .wired)
        } catch {
          expect(error)
          precondition(guest.space.entryViews.count == before)
        }
        precondition(guest.invariantProblems() == [])
      }
    }
  }

  @Test func `unmapping works for a guest whose mappings are used up`() async {
    await #expect(processExitsWith: .success) {
      let arena = try Arena(size: .mebibytes(16), backing: .base, threads: 1)
      let guest = try GuestMemory(arena: arena, limit: .mebibytes(16), host: host(40))
      let ram = try guest.allocateSegment("ram", size: .mebibytes(8))
      try guest.map(ram, at: .zero, options: .wired)
      var removed = 0
      do throws(HoldfastError) {
        for page in stride(from: UInt64(1), to: 100, by: 2) {
          try guest.unmap(range(page << 12, 1 << 12))
          removed += 1
        }
        preconditionFailure("no limit")
      } catch {
        expect(error)
      }
      precondition(removed > 4 && removed < 20, "\(removed)")
      // Where a hole continues no further mapping is needed.
      try guest.unmap(range(2 << 12, 1 << 12))
      try guest.unmap(range(0, 4 << 20))
      try guest.unmap(range(0, 16 << 20))
      precondition(guest.space.entryViews.isEmpty && guest.invariantProblems() == [])
    }
  }
}
