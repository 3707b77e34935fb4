import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Synchronization
import Testing

/// Threads that access addresses that a guest should not, while the memory there changes.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct HostileAccessTests {}

extension HostileAccessTests {
  private static let size = UInt64(32 << 20)
  private static let page = UInt64(2 << 20)

  /// Threads access all addresses while segments are mapped, unmapped, wired, protected, forked and
  /// moved, with every response to a failure. A wired page must be entered at any time, and the
  /// invariants must hold.
  private func storm(_ backing: Backing, seed: UInt64, rounds: Int) throws {
    let answers = Atomic<UInt64>(0)
    let isOver = Atomic<Bool>(false)
    let guest = try DemandPagingTests.guest(
      backing, size: .mebibytes(128),
      paging: DemandPaging(threadLimit: 4) { _ in
        // A thread that still waits at the end gets an error, so that all threads return.
        if isOver.load(ordering: .acquiring) { return .refuse }
        return switch answers.wrappingAdd(1, ordering: .relaxed).newValue % 16 {
        case 0: .refuse
        case 1...8: .pause
        default: .retry
        }
      })
    let thread = try #require(guest.faultHandler)
    let ram = try guest.allocateSegment("ram", size: ByteCount(Self.size))
    let findings = ConcurrentFailures()
    let returned = Atomic<Int>(0)
    let touches = Atomic<UInt64>(0)
    let ended = runThreads(6, seconds: 30) { number in
      guard number < 5 else {
        var random = SeededGenerator(seed: seed)
        do {
          for _ in 0..<rounds {
            try change(guest, ram, &random, findings)
            thread.retryPaused()
          }
        } catch {
          findings.report("\(error)")
        }
        isOver.store(true, ordering: .releasing)
        // A write to a wired read-only page waits, whatever the answer.
        try? guest.space.unwire(
          AddressRange(from: .zero, to: Address(Self.size)), [.user, .holesOK])
        while returned.load(ordering: .acquiring) < 5 {
          thread.retryPaused()
          usleep(1000)
        }
        return
      }
      defer { returned.wrappingAdd(1, ordering: .releasing) }
      var random = SeededGenerator(seed: seed &+ UInt64(number) &+ 1)
      let touch = KernelAccess(guest)
      while !isOver.load(ordering: .acquiring) {
        let address = UInt64.random(in: 0..<Self.size / 4096, using: &random) * 4096
        if number % 2 == 0 {
          _ = touch.read(address)
        } else {
          _ = touch.write(address, to: address)
        }
        touches.wrappingAdd(1, ordering: .relaxed)
      }
    }
    guard ended else {
      // The invariants show whether a page was left busy, the counts whether faults are still
      // served.
      let state = "\(thread.statistics), paused \(thread.pausedFaults)"
      Issue.record("a thread did not return: \(backing), seed \(seed), \(state)")
      print("storm stuck: \(backing) \(seed) \(state) \(guest.invariantProblems().prefix(4))")
      thread.stop()
      return
    }
    #expect(findings.all == [], "\(backing), seed \(seed)")
    #expect(guest.invariantProblems() == [], "\(backing), seed \(seed)")
    let statistics = thread.statistics
    #expect(statistics.failures > 0 && statistics.demandFaults > 0, "\(statistics)")
    // The handler still works.
    try guest.unmap(AddressRange(from: .zero, to: Address(Self.size)))
    try guest.map(ram, at: .zero, options: .wired)
    try guest.unwire(AddressRange(from: .zero, to: Address(Self.size)))
    let (child, _) = try guest.fork()
    for address in stride(from: 0, to: Self.size, by: 1 << 20) {
      #expect(KernelAccess(child).write(address, to: address))
      #expect(KernelAccess(guest).write(1, to: address))
      #expect(KernelAccess(child).read(address) == address)
    }
    print("storm \(backing.rawValue): \(touches.load(ordering: .relaxed)) touches, \(statistics)")
  }

  private func change(
    _ guest: GuestMemory, _ ram: MemorySegment, _ random: inout SeededGenerator,
    _ findings: ConcurrentFailures
  ) throws {
    let first = UInt64.random(in: 0..<Self.size / Self.page, using: &random)
    let last = UInt64.random(in: first..<Self.size / Self.page, using: &random)
    let range = AddressRange(from: Address(first * Self.page), to: Address((last + 1) * Self.page))
    do {
      switch Int.random(in: 0..<10, using: &random) {
      case 0, 1, 2:
        try guest.map(ram, at: range.start, offset: range.start - .zero, length: range.length)
      case 3, 4:
        let receipt = try guest.wire(range)
        let problems = try receipt.verify().problems
        if problems != [] { findings.report("wired \(range): \(problems)") }
        if Bool.random(using: &random) { try guest.unwire(range) }
      case 5: try guest.unwire(range)
      case 6: try guest.space.protect(range, .read)
      case 7: try guest.space.protect(range, .readWrite)
      case 8:
        // The child's failed faults would not be retried, so it accesses a page that exists.
        try guest.write([1], to: range.start)
        let (child, _) = try guest.fork()
        _ = KernelAccess(child).read(range.start.rawValue)
        _ = KernelAccess(child).write(1, to: range.start.rawValue)
      default:
        guest.arena.memory.compact()
        try guest.unmap(range)
      }
    } catch {
      let expected: [HoldfastError.Code] = [
        .invalidAddress, .noSpace, .resourceShortage, .protectionFailure,
      ]
      if !expected.contains(error.code) { findings.report("\(error)") }
    }
  }

  @Test func `wired memory stays entered whatever its protection becomes`() throws {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() {
        let guest = try DemandPagingTests.guest(backing)
        let ram = try guest.allocateSegment("ram", size: ByteCount(Self.size))
        let receipt = try guest.map(ram, at: .zero, options: .wired)
        let touch = KernelAccess(guest)
        for protection in [Protection.read, .readWrite, .read, [], .readWrite, [], .read] {
          try guest.space.protect(receipt.range, protection)
          if protection.isEmpty { continue }
          #expect(try receipt.verify().problems == [], "\(backing) \(protection)")
          for address in stride(from: 4096, to: Self.size, by: 1 << 20) {
            #expect(touch.read(address) != nil)
            if protection.contains(.write) { #expect(touch.write(1, to: address)) }
          }
        }
        // Between two protections memory may be unmapped for a moment, but only where a page is
        // mapped with 2 MiB or not at all.
        let statistics = try #require(guest.faultHandler).statistics
        #expect(statistics.demandFaults == 0 && statistics.copyFaults == 0, "\(statistics)")
        #expect(guest.invariantProblems() == [])
      }
    }
  }

  /// Split mappings of huge pages do not merge again, and are entered nevertheless.
  @Test func `a range of many mappings is wired again`() throws {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() {
        let guest = try DemandPagingTests.guest(backing)
        let ram = try guest.allocateSegment("ram", size: ByteCount(Self.size))
        let all = try guest.map(ram, at: .zero, options: .wired).range
        try guest.unwire(all)
        for number in UInt64(0)..<7 {
          let part = AddressRange(
            from: Address(number << 22), to: Address(number << 22 + (2 << 20)))
          try guest.space.protect(part, .read)
        }
        try guest.space.protect(all, .read)
        try guest.space.protect(all, .readWrite)
        #expect(try guest.wire(all).verify().problems == [], "\(backing)")
        #expect(guest.invariantProblems() == [])
      }
    }
  }

  @Test func `refused pages take no more mappings than there is room for`() throws {
    let arena = try Arena(size: .mebibytes(4), for: .paging, backing: .base, threads: 1)
    var host = HostProbe().host()
    // Room for a hundred refused pages, beyond the 8192 mappings that are kept free.
    host.maximumMapCount = 8192 + 200
    let guest = try GuestMemory(
      arena: arena, limit: .mebibytes(4), demandPaging: DemandPaging { _ in .refuse }, host: host)
    let refused = Atomic<Int>(0)
    let touch = KernelAccess(guest)
    let thread = BackgroundTouch {
      for page in 0..<UInt64(200) {
        if touch.read(page * 8192) == nil { refused.wrappingAdd(1, ordering: .releasing) }
      }
    }
    try #require(eventually { guest.faultHandler?.pausedFaults.isEmpty == false })
    #expect(refused.load(ordering: .acquiring) <= 100)
    guest.faultHandler?.stop()
    thread.join()
    #expect(refused.load(ordering: .acquiring) == 200)
  }

  @Test func `memory is unmapped when the kernel gives no more addresses`() async {
    await #expect(processExitsWith: .success) {
      let guest = try DemandPagingTests.guest(
        .base, size: .mebibytes(64), paging: DemandPaging { _ in .refuse })
      let ram = try guest.allocateSegment("ram", size: .mebibytes(32))
      let piece = ByteCount.mebibytes(2)
      for number in 0..<UInt64(16) {
        try guest.map(
          ram, at: Address(number << 21), offset: ByteCount((15 - number) << 21), length: piece)
      }
      let touch = KernelAccess(guest)
      for number in 0..<UInt64(16) { precondition(touch.write(number + 1, to: number << 21)) }
      // The addresses that the process has and 8 MiB, which is less than the call unmaps.
      let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        .split(separator: " ").first.flatMap { UInt($0) }
      let most = pages! * 4096 + (8 << 20)
      var limit = rlimit(rlim_cur: most, rlim_max: most)
      precondition(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
      try guest.unmap(AddressRange(from: Address(2 << 20), to: Address(30 << 20)))
      precondition(touch.read(0) == 1 && touch.read(30 << 20) == 16)
      precondition((1..<15).allSatisfy { touch.read($0 << 21) == nil })
    }
  }

  @Test(arguments: [11, 12, 13] as [UInt64])
  func `many accesses and changes leave the handler and the invariants intact`(
    seed: UInt64
  ) throws {
    try HugePageLock.withLock {
      for backing in DemandPagingTests.backings() { try storm(backing, seed: seed, rounds: 600) }
    }
  }
}

/// Accesses by the kernel: for them inaccessible memory is an error, not a signal.
final class KernelAccess: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  private var ends: [Int32] = [0, 0]

  init(_ memory: GuestMemory) {
    base = UnsafeMutableRawPointer(bitPattern: UInt(memory.hostAddress))!
    precondition(pipe(&ends) == 0)
  }

  deinit {
    for end in ends { close(end) }
  }

  /// The word at an address, or nil where it cannot be read.
  func read(_ address: UInt64) -> UInt64? {
    guard Glibc.write(ends[1], base + Int(address), 8) == 8 else { return nil }
    var word: UInt64 = 0
    precondition(Glibc.read(ends[0], &word, 8) == 8)
    return word
  }

  /// Writes a word; returns whether the address could be written.
  func write(_ value: UInt64, to address: UInt64) -> Bool {
    var word = value
    precondition(Glibc.write(ends[1], &word, 8) == 8)
    if Glibc.read(ends[0], base + Int(address), 8) == 8 { return true }
    // The word is still in the pipe.
    var rest: UInt64 = 0
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    _ = Glibc.read(ends[0], &rest, 8)
    _ = fcntl(ends[0], F_SETFL, 0)
    return false
  }
}
