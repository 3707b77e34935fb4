import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Children of the monitor, in which userfaultfd traps nothing, so they must have no mapping of
/// guests' memory. In processes of their own: another test may be between its mmap(2) of a guest's
/// own pages and the madvise(2) that keeps them from children.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct ForkedProcessTests {}

extension ForkedProcessTests {
  /// Guests with all kinds of mappings.
  private static func makeGuests() throws -> [GuestMemory] {
    var guests: [GuestMemory] = []
    for backing in DemandPagingTests.backings() {
      let guest = try DemandPagingTests.guest(
        backing, paging: DemandPaging(granularity: .basePage) { _ in .refuse })
      let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
      try guest.map(ram, at: .zero)
      let touch = KernelAccess(guest)
      for address in stride(from: UInt64(0), to: 32 << 20, by: 3 << 20) {
        #expect(touch.write(1, to: address))
      }
      // Write-protected in both, and moved into place.
      let (child, _) = try guest.fork()
      for address in stride(from: UInt64(0), to: 32 << 20, by: 6 << 20) {
        #expect(KernelAccess(child).read(address) == 1)
      }
      try guest.wire(AddressRange(from: Address(8 << 20), to: Address(16 << 20)))
      // Replaced by empty memory.
      try guest.unmap(AddressRange(from: Address(2 << 20), to: Address(12 << 20)))
      #expect(touch.read(4 << 20) == nil)
      let wired = try GuestMemory(arena: guest.arena, limit: .mebibytes(4))
      let small = try wired.allocateSegment("ram", size: .mebibytes(4))
      try wired.map(small, at: .zero, options: .wired)
      try wired.unmap(AddressRange(from: .zero, to: Address(2 << 20)))
      guests += [guest, child, wired]
    }
    let arena = try Arena(size: .mebibytes(4), backing: .thpPrivate, threads: 1)
    let placed = try GuestMemory(arena: arena, limit: .mebibytes(2))
    let ram = try placed.allocateSegment("ram", size: .mebibytes(2))
    try placed.map(ram, at: .zero, options: .wired)
    return guests + [placed]
  }

  @Test func `a child of fork has no mapping of guests' memory`() async {
    await #expect(processExitsWith: .success) { try ForkedProcessTests.checkFork() }
  }

  private static func checkFork() throws {
    try HugePageLock.withLock {
      let guests = try makeGuests()
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0)
      let child = forkProcess()
      if child == 0 {
        // Until the parent closes its end. Nothing else is safe here.
        close(ends[1])
        var byte: UInt8 = 0
        read(ends[0], &byte, 1)
        _exit(0)
      }
      try #require(child > 0)
      let file = try #require(FileHandle(forReadingAtPath: "/proc/\(child)/maps"))
      let maps = String(decoding: file.readDataToEndOfFile(), as: UTF8.self)
      for end in ends { close(end) }
      waitpid(child, nil, 0)
      #expect(maps.contains("libc.so"))
      #expect(!maps.contains("holdfast-arena"))
      for line in maps.split(separator: "\n") {
        let bounds = line.split(separator: " ")[0].split(separator: "-").map {
          UInt64($0, radix: 16)!
        }
        for guest in guests {
          let window = guest.hostAddress..<guest.hostAddress + guest.limit.rawValue
          #expect(!(bounds[0]..<bounds[1]).overlaps(window), "\(guest.arena.backing) \(line)")
        }
      }
      // The parent still has them.
      #expect(KernelAccess(guests[0]).read(0) == 1)
    }
  }

  @Test func `a program that is started has neither mappings nor descriptors of guests' memory`()
    async
  {
    await #expect(processExitsWith: .success) { try ForkedProcessTests.checkProgram() }
  }

  private static func checkProgram() throws {
    try HugePageLock.withLock {
      let guests = try makeGuests()
      let file = try #require(popen("cat /proc/self/maps; ls -l /proc/self/fd", "r"))
      var text = ""
      var line = [CChar](repeating: 0, count: 1024)
      while fgets(&line, 1024, file) != nil {
        let bytes = line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        text += String(decoding: bytes, as: UTF8.self)
      }
      #expect(pclose(file) == 0 && text.contains("libc.so"))
      for word in ["holdfast-arena", "userfaultfd", "eventfd"] { #expect(!text.contains(word)) }
      withExtendedLifetime(guests) {}
    }
  }
}

@_silgen_name("fork") private func forkProcess() -> Int32
