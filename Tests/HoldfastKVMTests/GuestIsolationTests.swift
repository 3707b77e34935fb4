import Glibc
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Testing

/// A guest finds no bytes of the guest that had its frames before.
@Suite(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
struct GuestIsolationTests {}

extension GuestIsolationTests {
  private static let size = ByteCount.mebibytes(32)
  private static let limit = Duration.seconds(120)

  static let backings: [Backing] = [.base, .thp, .thpPrivate, .hugetlb2M]

  private static func isThere(_ backing: Backing) -> Bool {
    switch backing {
    case .thp: HostNeeds.sharedHugePages
    case .hugetlb2M: HostNeeds.hugePages(.mebibytes(64))
    case .thpPrivate: GuestProgramTests.hasPrivateHugePages
    default: true
    }
  }

  @Test(arguments: backings, [false, true])
  func `the next guest finds nothing but zeros`(_ backing: Backing, scrubbed: Bool) throws {
    guard Self.isThere(backing) else { return }
    try HugePageLock.withLock {
      try check(backing, onDemand: false, scrubbed: scrubbed)
      if backing.hasFile, HostNeeds.userFault {
        try check(backing, onDemand: true, scrubbed: scrubbed)
      }
    }
  }

  private func check(_ backing: Backing, onDemand: Bool, scrubbed: Bool) throws {
    let what = "\(backing.rawValue), on demand \(onDemand), scrubbed \(scrubbed)"
    let arena = try Arena(size: .mebibytes(48), backing: backing, threads: 2)
    let scrubber = scrubbed ? try Scrubber(memory: arena.memory) : nil
    // Each frame belongs to one guest after the other.
    for round in 0..<3 {
      let size = round == 1 ? arena.size : Self.size
      let memory = try GuestMemory(
        arena: arena, limit: size, demandPaging: onDemand ? DemandPaging() : nil)
      let ram = try memory.allocateSegment("ram", size: size)
      try memory.map(ram, at: .zero, options: onDemand ? [] : .wired)
      let all = AddressRange(from: .zero, to: .zero + size)
      let runner = try GuestRunner(memory: memory, processors: 2)
      // The guest first, in pseudorandom order, so that it takes the faults.
      let scan = try runner.run(
        GuestTask(.walkScan, over: [all], seed: UInt64(round)), timeLimit: Self.limit)
      #expect(scan.wrongWords == 0 && scan.isComplete, "\(what): \(scan)")
      let part = AddressRange(from: Address(4 << 20), to: Address(5 << 20))
      let words = try runner.run(GuestTask(.scanAll, over: [part]), timeLimit: Self.limit)
      #expect(words.wrongWords == 0 && words.touches == 1 << 17, "\(what): \(words)")
      let bytes = UnsafeMutablePointer<UInt8>(bitPattern: UInt(memory.hostAddress))!
      let isZero = bytes[0] == 0 && memcmp(bytes, bytes + 1, Int(size.rawValue) - 1) == 0
      #expect(isZero, "\(what), round \(round)")
      // Now its own marker, everywhere.
      let fill = try runner.run(GuestTask(.fill, over: [all], seed: 99), timeLimit: Self.limit)
      #expect(fill.isComplete)
      memset(bytes, 0xA5, Int(size.rawValue))
      if onDemand, round != 1 {
        // A fork that has copies of pages, and is released before or after its parent.
        let (child, _) = try memory.fork()
        let own = UnsafeMutablePointer<UInt8>(bitPattern: UInt(child.hostAddress))!
        memset(own, 0x5A, 8 << 20)
        #expect(bytes[0] == 0xA5 && own[9 << 20] == 0xA5, "\(what)")
        if round == 2 { memset(bytes, 0xA6, 2 << 20) }
      }
      withExtendedLifetime(runner) {}
    }
    withExtendedLifetime(scrubber) {}
  }
}
