import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Windows of a process that has as many mappings as the kernel allows, or as the windows allow
/// each other. In processes of their own, because mappings are counted over the whole process.
struct WindowLimitTests {
  private static let paged = HostNeeds.userFault
  private static let huge = HostNeeds.hugePages(.mebibytes(64))

  /// The backing's name is the argument, as it is copied to the other process.
  static func removesFromPaged(_ backing: Backing) throws {
    let place = try PagedPlace(backing, pages: 16)
    try place.enter(0, 0..<16)
    FullProcess.fill()
    place.window.remove(place.range(5..<6))
    precondition(!place.isPresent(5) && place.isPresent(4) && place.isReachable(15))
    // Another removal, and one of the rest at once.
    place.window.remove(place.range(8..<9))
    precondition(!place.isPresent(8) && place.isReachable(7))
    place.window.protect(place.range(10..<11), .read)
    try place.enter(5, 5..<6)
    precondition(place.isReachable(5))
    place.window.remove(place.range(0..<16))
    for page in 0..<UInt64(16) { precondition(!place.isPresent(page)) }
    precondition(place.window.mappingCount == kernelMappings(place.window.hostRange))
    try place.enter(2, 2..<3)
    precondition(place.isReachable(2))
  }

  @Test(.enabled(if: paged, "\(HostNeeds.userFaultComment)"))
  func `pages are removed from a window with demand paging beyond the kernel's limit`() async {
    await #expect(processExitsWith: .success) { try Self.removesFromPaged(.base) }
  }

  @Test(.enabled(if: paged && huge, "\(HostNeeds.hugePagesComment)"))
  func `huge pages are removed beyond the kernel's limit`() async {
    await #expect(processExitsWith: .success) {
      try HugePageLock.withLock { try Self.removesFromPaged(.hugetlb2M) }
    }
  }

  /// Guard pages, where the kernel has them for files.
  @Test func `pages are removed from a window of wired memory beyond the kernel's limit`() async {
    await #expect(processExitsWith: .success) {
      let arena = try Arena(size: .mebibytes(4), backing: .base, threads: 1)
      let host = HostProbe().host()
      let window = try WindowPmap(arena: arena, length: .mebibytes(4), host: host)
      let other = try WindowPmap(arena: arena, length: .mebibytes(4), host: host)
      func enter(_ page: UInt64, _ count: UInt64) throws {
        try window.enter(
          FrameRun(Frame(page), PageCount(count)), at: Address(page << 12), protection: .readWrite,
          wired: true, reach: nil)
      }
      func canReach(_ page: UInt64) -> Bool { canRead(window.hostRange.address + page << 12) }
      try enter(0, 64)
      let hasGuardPages = hasGuardPagesForFiles()
      try other.enter(
        FrameRun(Frame(100), .one), at: .zero, protection: .readWrite, wired: true, reach: nil)
      FullProcess.fill()
      window.remove(AddressRange(from: Address(5 << 12), to: Address(7 << 12)))
      precondition(!canReach(5) && !canReach(6))
      if hasGuardPages {
        precondition(window.mappingCount == kernelMappings(window.hostRange))
        try enter(5, 1)
        precondition(canReach(5) && !canReach(6) && canReach(4))
      } else {
        // The guest's access ends, and its alone.
        precondition(!canReach(7))
      }
      precondition(canRead(other.hostRange.address))
    }
  }

  @Test func `protecting needs room, also beside a hole, where removing needs none`() async {
    await #expect(processExitsWith: .success) {
      var host = HostProbe().host()
      host.maximumMapCount = 8192 + 60
      let arena = try Arena(size: .mebibytes(4), backing: .base, threads: 1)
      let window = try WindowPmap(arena: arena, length: .mebibytes(4), host: host)
      func range(_ pages: Range<UInt64>) -> AddressRange {
        AddressRange(from: Address(pages.lowerBound << 12), to: Address(pages.upperBound << 12))
      }
      func protect(_ changes: [(range: AddressRange, protection: Protection)]) throws {
        try window.prepareToProtect(changes)
        for (range, protection) in changes { window.protect(range, protection) }
      }
      // Mappings of four pages, with holes between them.
      var pages: [UInt64] = []
      for page in stride(from: UInt64(4), to: 1024, by: 8) {
        do {
          try window.enter(
            FrameRun(Frame(page), PageCount(4)), at: Address(page << 12), protection: .readWrite,
            wired: true, reach: nil)
        } catch { break }
        pages.append(page)
      }
      precondition(pages.count > 10 && pages.count < 100)
      // Each is to find room; together they are not.
      do {
        try protect(pages.map { (range($0..<$0 + 1), .read) })
        preconditionFailure("protected")
      } catch let error as HoldfastError {
        precondition(error.code == .resourceShortage && error.errno == ENOMEM)
      }
      let before = window.mappingCount
      do {
        for page in pages { try protect([(range(page..<page + 1), .read)]) }
        preconditionFailure("protected")
      } catch let error as HoldfastError {
        precondition(error.code == .resourceShortage && error.errno == ENOMEM)
      }
      precondition(window.mappingCount <= before + 2)
      // The first part of a mapping is removed, and all of one is protected, without another one.
      let last = pages[pages.count - 1]
      try window.prepareToSplit(range(last..<last + 1))
      window.remove(range(last..<last + 1))
      try protect([(range(last..<last + 4), .read), (range(last + 1..<last + 4), .readWrite)])
      precondition(window.mappingCount <= before + 2)
      precondition(window.mappingCount == kernelMappings(window.hostRange))
    }
  }

  @Test(.enabled(if: huge, "\(HostNeeds.hugePagesComment)"))
  func `where nothing can remove a page the guest's access ends, and no other's`() async {
    await #expect(processExitsWith: .success) {
      try HugePageLock.withLock {
        let arena = try Arena(size: .mebibytes(32), backing: .hugetlb2M, threads: 1)
        let host = HostProbe().host()
        let window = try WindowPmap(arena: arena, length: .mebibytes(32), host: host)
        let other = try WindowPmap(arena: arena, length: .mebibytes(32), host: host)
        let all = FrameRun(Frame(0), PageCount(16))
        for each in [window, other] {
          try each.enter(all, at: .zero, protection: .readWrite, wired: true, reach: nil)
        }
        FullProcess.fill()
        window.remove(AddressRange(from: Address(10 << 21), to: Address(11 << 21)))
        for page in 0..<UInt64(16) {
          precondition(!canRead(window.hostRange.address + page << 21))
          precondition(canRead(other.hostRange.address + page << 21))
        }
        do {
          try window.enter(all, at: .zero, protection: .readWrite, wired: true, reach: nil)
          preconditionFailure("entered")
        } catch let error as HoldfastError {
          precondition(error.code == .host && error.reason.contains("ended for good"))
        }
        // Nothing of these has anything to do.
        window.remove(AddressRange(from: .zero, to: Address(32 << 20)))
        window.protect(AddressRange(from: .zero, to: Address(32 << 20)), .read)
        precondition(window.extentCount == 0)
      }
    }
  }

  @Test(.enabled(if: paged, "\(HostNeeds.userFaultComment)"))
  func `a guest whose pages the kernel does not remove loses its access, and faults are reported`()
    async
  {
    await #expect(processExitsWith: .success) {
      let place = try PagedPlace(.base, pages: 16)
      try place.enter(0, 0..<16)
      // This thread's madvise(2) with MADV_DONTNEED_LOCKED or MADV_DONTNEED fails.
      try refuseAdvice([24, 4], with: ENOMEM)
      place.window.remove(place.range(3..<4))
      for page in 0..<UInt64(16) { precondition(!place.isReachable(page)) }
      do {
        try place.enter(0, 0..<16)
        preconditionFailure("entered")
      } catch let error as HoldfastError {
        precondition(error.code == .host && error.errno == ENOMEM)
      }
    }
  }

  @Test(.enabled(if: paged, "\(HostNeeds.userFaultComment)"))
  func `a guest that makes all mappings that it may leaves some for the next`() async {
    await #expect(processExitsWith: .success) {
      var host = HostProbe().host()
      host.maximumMapCount = 8192 + 400
      // Every page lies elsewhere than its neighbors.
      func fill(_ place: PagedPlace) -> HoldfastError? {
        for page in 0..<UInt64(1024) {
          do {
            try place.enter((page * 37) % 1024, page..<page + 1, .read)
          } catch {
            return error as? HoldfastError
          }
        }
        return nil
      }
      var left = 400
      var places: [PagedPlace] = []
      for _ in 0..<3 {
        let place = try PagedPlace(.base, pages: 1024, host: host)
        places.append(place)
        let error = fill(place)
        precondition(error?.code == .resourceShortage && error?.errno == ENOMEM)
        precondition(error?.advice == .raiseLimit("vm.max_map_count"))
        let count = place.window.mappingCount
        precondition(count == kernelMappings(place.window.hostRange))
        // It has as many as it left, but for what one more takes.
        left -= count
        precondition(left > 8 && abs(count - left) < 6, "\(count) and \(left) left")
      }
      // What is removed is there for others.
      places[0].window.remove(places[0].range(0..<1024))
      precondition(places[0].window.mappingCount < 4)
      let before = places[2].window.mappingCount
      _ = fill(places[2])
      precondition(places[2].window.mappingCount > before)
    }
  }
}

/// Whether the kernel has guard pages for files (Linux 6.15).
private func hasGuardPagesForFiles() -> Bool {
  guard let file = tmpfile() else { return false }
  defer { fclose(file) }
  ftruncate(fileno(file), 4096)
  let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0)!
  defer { munmap(page, 4096) }
  return madvise(page, 4096, 102) == 0
}

/// An instruction of a filter of system calls (`struct sock_filter`).
private struct Instruction {
  var code: UInt16
  var whenTrue: UInt8 = 0
  var whenFalse: UInt8 = 0
  var operand: UInt32
}

/// `struct sock_fprog`.
private struct Program {
  var count: UInt16
  var instructions: UnsafeMutablePointer<Instruction>?
}

@_silgen_name("prctl") private func control(
  _ what: Int32, _ second: UInt, _ third: UInt, _ fourth: UInt, _ fifth: UInt
) -> Int32

/// Makes madvise(2) with some advice fail on the calling thread, as a filter of system calls may
/// (PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP with SECCOMP_MODE_FILTER).
private func refuseAdvice(_ advice: [UInt32], with error: Int32) throws {
  #if arch(x86_64)
    let madvise: UInt32 = 28
  #else
    let madvise: UInt32 = 233
  #endif
  func load(_ offset: UInt32) -> Instruction { Instruction(code: 0x20, operand: offset) }
  let allow = Instruction(code: 0x06, operand: 0x7fff_0000)
  let refuse = Instruction(code: 0x06, operand: 0x0005_0000 | UInt32(error))
  // The number of the call, then the low half of the third argument.
  var filter = [load(0), Instruction(code: 0x15, whenTrue: 1, operand: madvise), allow, load(32)]
  for number in advice {
    filter += [Instruction(code: 0x15, whenFalse: 1, operand: number), refuse]
  }
  filter.append(allow)
  filter.withUnsafeMutableBufferPointer { buffer in
    var program = Program(count: UInt16(buffer.count), instructions: buffer.baseAddress)
    precondition(control(38, 1, 0, 0, 0) == 0)
    withUnsafePointer(to: &program) { pointer in
      precondition(control(22, 2, UInt(bitPattern: pointer), 0, 0) == 0)
    }
  }
}
