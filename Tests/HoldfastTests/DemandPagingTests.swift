import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// Guests that access memory which was never wired: the fault handler populates it.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct DemandPagingTests {}

extension DemandPagingTests {
  static func backings() -> [Backing] {
    [.base] + (HostNeeds.sharedHugePages ? [.thp] : [])
      + (HostNeeds.hugePages(.mebibytes(128)) ? [.hugetlb2M] : [])
  }

  static func guest(
    _ backing: Backing, size: ByteCount = .mebibytes(64), limit: ByteCount = .mebibytes(32),
    paging: DemandPaging = DemandPaging()
  ) throws -> GuestMemory {
    let arena = try Arena(size: size, for: .paging, backing: backing, threads: 2)
    return try GuestMemory(arena: arena, limit: limit, demandPaging: paging)
  }

  @Test func `a guest reads zeros and keeps what it writes, on every backing`() throws {
    try HugePageLock.withLock {
      for backing in Self.backings() { try check(backing) }
    }
  }

  private func check(_ backing: Backing) throws {
    let guest = try Self.guest(backing)
    let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
    let receipt = try guest.map(ram, at: .zero)
    #expect(receipt.wiredBytes == .zero && receipt.residentBytes == .zero)
    let touch = GuestAccess(guest)
    let all = UInt64(0)..<UInt64(32 << 20)
    #expect(touch.firstMismatch(in: all) { _ in 0 } == nil)
    for address in stride(from: 0, to: all.upperBound, by: 4096) {
      touch.write(address + 7, to: address)
    }
    #expect(touch.firstMismatch(in: all) { $0 + 7 } == nil)
    let bytes = try guest.read(Address(20 << 20), count: 8)
    let word = UInt64(20 << 20) + 7
    #expect(bytes == withUnsafeBytes(of: word) { [UInt8]($0) })
    let statistics = try #require(guest.faultHandler).statistics
    // A fault for each large page; more where a second one was read before the first was served.
    #expect(statistics.zeroedFaults == 16 && statistics.demandFaults >= 16, "\(statistics)")
    #expect(statistics.failures == 0 && statistics.copyFaults == 0)
    #expect(guest.invariantProblems() == [])
    let residency = guest.residency(in: AddressRange(from: .zero, to: Address(32 << 20)))
    #expect(residency.residentBytes == .mebibytes(32) && residency.sharedBytes == .zero)
  }

  @Test func `base pages are populated one by one if asked for, with few mappings`() throws {
    let guest = try Self.guest(.base, paging: DemandPaging(granularity: .basePage))
    let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
    try guest.map(ram, at: .zero)
    let touch = GuestAccess(guest)
    for page in stride(from: UInt64(0), to: 4 << 20, by: 8192) { touch.write(page, to: page) }
    let residency = guest.residency(in: AddressRange(from: .zero, to: Address(32 << 20)))
    #expect(residency.residentBytes == .mebibytes(2))
    #expect(try kernelMappings(guest) < 16)
    for page in stride(from: UInt64(4096), to: 4 << 20, by: 8192) { touch.write(page, to: page) }
    #expect(touch.firstMismatch(in: 0..<(4 << 20)) { $0 } == nil)
    #expect(guest.invariantProblems() == [])
  }

  /// How many mappings the kernel has of the guest's window.
  private func kernelMappings(_ guest: GuestMemory) throws -> Int {
    let file = try #require(fopen("/proc/self/maps", "r"))
    defer { fclose(file) }
    var count = 0
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, 512, file) != nil {
      let start = strtoull(line, nil, 16)
      let isInside = start >= guest.hostAddress && start < guest.hostAddress + guest.limit.rawValue
      if isInside { count += 1 }
    }
    return count
  }

  @Test func `wiring after an access keeps the bytes, and then nothing faults`() throws {
    try HugePageLock.withLock {
      for backing in Self.backings() {
        let guest = try Self.guest(backing)
        let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
        try guest.map(ram, at: .zero)
        let touch = GuestAccess(guest)
        for address in stride(from: UInt64(0), to: 32 << 20, by: 6 << 20) {
          touch.write(address + 1, to: address)
        }
        let receipt = try guest.wire(AddressRange(from: .zero, to: Address(32 << 20)))
        let verification = try receipt.verify()
        #expect(verification.problems == [], "\(backing) \(verification)")
        let before = try #require(guest.faultHandler).statistics
        let wrong = touch.firstMismatch(in: 0..<(32 << 20)) {
          $0 % (6 << 20) == 0 ? $0 + 1 : 0
        }
        #expect(wrong == nil)
        #expect(guest.faultHandler?.statistics == before)
        try guest.unwire(receipt.range)
        try guest.unmap(AddressRange(from: Address(8 << 20), to: Address(16 << 20)))
        #expect(guest.invariantProblems() == [])
        #expect(touch.read(6 << 20) == (6 << 20) + 1)
      }
    }
  }

  @Test func `many threads access the same pages at once and all go on`() throws {
    let guest = try Self.guest(.base)
    let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
    try guest.map(ram, at: .zero)
    let touch = GuestAccess(guest)
    let findings = ConcurrentFailures()
    let barrier = Barrier(8)
    let ended = runThreads(8) { number in
      barrier.arrive()
      for page in 0..<UInt64(32 << 20) / 4096 where page % 3 == 0 {
        let address = page * 4096
        if touch.read(address) != 0 { findings.report("\(address) is not zero") }
        touch.write(UInt64(number), to: address + 8 + UInt64(number) * 8)
      }
    }
    #expect(ended && findings.all == [])
    // A handler that came too late may wake all before the other has counted its work.
    #expect(eventually { guest.faultHandler?.statistics.zeroedFaults == 16 })
    for number in 0..<UInt64(8) {
      #expect(touch.read(3 * 4096 + 8 + number * 8) == number)
    }
  }

  @Test func `an access to an unmapped page is reported and waits until the page is mapped`() throws
  {
    let reported = ConcurrentFailures()
    let guest = try Self.guest(
      .base,
      paging: DemandPaging { failure in
        reported.report("\(failure.address) \(failure.error.code)")
        return .pause
      })
    let ram = try guest.allocateSegment("ram", size: .mebibytes(2))
    let touch = GuestAccess(guest)
    let found = Atomic<UInt64>(.max)
    let thread = BackgroundTouch { found.store(touch.read(4096), ordering: .releasing) }
    try #require(eventually { guest.faultHandler?.pausedFaults.isEmpty == false })
    let paused = try #require(guest.faultHandler?.pausedFaults.first)
    #expect(paused.address == Address(4096) && paused.access == .read && paused.thread > 0)
    #expect(found.load(ordering: .acquiring) == .max)
    try guest.map(ram, at: .zero)
    try guest.write([1, 0, 0, 0, 0, 0, 0, 0], to: Address(4096))
    guest.faultHandler?.retryPaused()
    thread.join()
    #expect(found.load(ordering: .acquiring) == 1)
    #expect(reported.all == ["\(Address(4096)) invalidAddress"])
    #expect(guest.faultHandler?.pausedFaults.isEmpty == true)
  }

  /// The owner's answer to a fault may come when the thread has long been woken by `retryPaused`
  /// and waits in another fault, which must not be forgotten.
  @Test func `a late answer to a fault does not lose the thread's next one`() throws {
    let isHeld = Atomic<Bool>(true)
    let guest = try Self.guest(
      .base,
      paging: DemandPaging { failure in
        guard failure.address == .zero else { return .pause }
        while isHeld.load(ordering: .acquiring) { usleep(1000) }
        return .retry
      })
    let ram = try guest.allocateSegment("ram", size: .mebibytes(4))
    let touch = KernelAccess(guest)
    let thread = BackgroundTouch {
      _ = touch.write(1, to: 0)
      _ = touch.write(2, to: 2 << 20)
    }
    let handler = try #require(guest.faultHandler)
    try #require(eventually { handler.pausedFaults.contains { $0.address == .zero } })
    try guest.map(ram, at: .zero, length: .mebibytes(2))
    handler.retryPaused()
    let next = Address(2 << 20)
    try #require(eventually { handler.pausedFaults.contains { $0.address == next } })
    isHeld.store(false, ordering: .releasing)
    handler.waitUntilIdle()
    #expect(handler.pausedFaults.map(\.address) == [next])
    try guest.map(ram, at: next, offset: .mebibytes(2), length: .mebibytes(2))
    handler.retryPaused()
    #expect(eventually { (try? guest.read(next, count: 1)) == [2] })
    // Ends a thread that was forgotten, too.
    handler.stop()
    thread.join()
  }

  @Test func `a refused access fails like one to nothing, until something is mapped`()
    throws
  {
    let guest = try Self.guest(.base, paging: DemandPaging { _ in .refuse })
    let touch = GuestAccess(guest)
    #expect(touch.readByKernel(8192) == EFAULT)
    let ram = try guest.allocateSegment("ram", size: .mebibytes(2))
    try guest.map(ram, at: .zero)
    // Refused pages stay so until they are entered, which wiring does.
    try guest.wire(AddressRange(from: .zero, to: Address(2 << 20)))
    #expect(touch.readByKernel(8192) == nil)
    #expect(guest.faultHandler?.statistics.failures == 1)
  }

  @Test func `a shortage pauses the faulting thread, and freed memory lets it go on`() throws {
    let arena = try Arena(size: .mebibytes(8), for: .paging, backing: .base, threads: 2)
    let first = try GuestMemory(arena: arena, limit: .mebibytes(8), demandPaging: DemandPaging())
    let other = try GuestMemory(arena: arena, limit: .mebibytes(8), demandPaging: DemandPaging())
    do {
      let taken = try other.allocateSegment("ram", size: .mebibytes(8))
      try other.map(taken, at: .zero, options: .wired)
      // What is mapped stays; the segment would keep it beyond that.
      try other.freeSegment(taken)
    }
    let ram = try first.allocateSegment("ram", size: .mebibytes(8))
    try first.map(ram, at: .zero)
    let touch = GuestAccess(first)
    let thread = BackgroundTouch { touch.write(5, to: 0) }
    try #require(eventually { first.faultHandler?.pausedFaults.isEmpty == false })
    #expect(first.faultHandler?.pausedFaults.first?.error.code == .resourceShortage)
    try other.unmap(AddressRange(from: .zero, to: Address(8 << 20)))
    first.faultHandler?.retryPaused()
    thread.join()
    #expect(touch.read(0) == 5)
  }

  @Test func `threads that wait in released memory fail`() throws {
    let failed = Atomic<Int32>(0)
    var guest: GuestMemory? = try Self.guest(.base)
    let touch = GuestAccess(guest!)
    let thread = BackgroundTouch {
      failed.store(touch.readByKernel(0) ?? 0, ordering: .releasing)
    }
    try #require(eventually { guest?.faultHandler?.pausedFaults.isEmpty == false })
    guest = nil
    thread.join()
    #expect(failed.load(ordering: .acquiring) == EFAULT)
  }
}

/// A thread that may wait for a while in an access.
final class BackgroundTouch: @unchecked Sendable {
  private var thread = pthread_t()

  private final class Work {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  init(_ body: @escaping @Sendable () -> Void) {
    let work = Unmanaged.passRetained(Work(body))
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, work.toOpaque())
  }

  func join() {
    pthread_join(thread, nil)
  }
}
