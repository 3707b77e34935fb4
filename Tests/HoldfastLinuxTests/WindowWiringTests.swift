import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Address spaces over windows: what the VM layer and the kernel have to agree on.
struct WindowWiringTests {
  private let arena: Arena

  init() throws {
    arena = try Arena(size: .mebibytes(16), backing: .base)
  }

  private func make(
    usesUserFault: Bool = true, host: HostCapabilities = HostProbe().host()
  ) throws -> (AddressSpace, WindowPmap) {
    let window = try WindowPmap(
      arena: arena, length: .mebibytes(64), host: host, usesUserFault: usesUserFault)
    let space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: Address(64 << 20)), memory: arena.memory, pmap: window)
    return (space, window)
  }

  private func range(_ pages: Range<UInt64>) -> AddressRange {
    AddressRange(from: Address(pages.lowerBound << 12), to: Address(pages.upperBound << 12))
  }

  private func word(_ page: UInt64, _ window: WindowPmap) -> UnsafeMutablePointer<UInt64> {
    UnsafeMutablePointer(bitPattern: UInt(window.hostRange.address + page << 12))!
  }

  @Test(arguments: WirePath.allCases, [true, false])
  func `nothing stays trapped once memory is wired`(path: WirePath, usesUserFault: Bool) throws {
    let (space, window) = try make(usesUserFault: usesUserFault)
    let range = range(3..<1500)
    try space.map(at: range)
    try space.wire(range, path.options)
    let base = window.hostRange.address
    let mappings = try KernelMapping.all(overlapping: base..<base + (64 << 20))
    // `ui`: registered with userfaultfd for minor faults. No thread would serve one.
    #expect(mappings.allSatisfy { !$0.flags.contains("ui") })
    let wired = mappings.filter { $0.path.contains("holdfast-arena") }
    #expect(wired.reduce(0) { $0 + $1["Rss"] } == 1497 << 12)
    // One mapping a block: the head and the tail are no whole superpages.
    #expect(wired.count < 24)
  }

  @Test(arguments: [true, false])
  func `the fault path leaves pages that are mapped and in use alone`(usesUserFault: Bool) throws {
    let (space, window) = try make(usesUserFault: usesUserFault)
    try space.map(at: range(0..<1024))
    for page in [UInt64(0), 300, 301, 511, 700] {
      try space.fault(Address(page << 12), .write)
      word(page, window).pointee = page + 1
    }
    try space.wire(range(0..<1024), .faultPath)
    for page in UInt64(0)..<1024 {
      let expected = [0, 300, 301, 511, 700].contains(page) ? page + 1 : 0
      #expect(word(page, window).pointee == expected)
      // The monitor sees what the guest sees: both have the object's frame.
      word(page, window)[1] = page
      #expect(try space.read(Address(page << 12) + ByteCount(8), count: 1) == [UInt8(page & 255)])
    }
    try space.remove(range(0..<1024))
    #expect(window.extentCount == 0)
  }

  @Test func `writing bytes to unwired memory makes no mapping`() throws {
    let (space, window) = try make()
    try space.map(at: range(0..<4096))
    for page in stride(from: UInt64(0), to: 4096, by: 2) {
      try space.write([UInt8(page & 127) + 1], at: Address(page << 12))
    }
    #expect(window.extentCount == 0)
    #expect(try space.read(Address(4094 << 12), count: 1) == [UInt8(4094 & 127) + 1])
  }

  /// In a process of its own, because mappings are counted over all windows.
  @Test
  func `too many mappings are an error that changes nothing, until some are removed`() async {
    await #expect(processExitsWith: .success) {
      let tests = try WindowWiringTests()
      var host = HostProbe().host()
      host.maximumMapCount = 8192 + 200
      let (space, window) = try tests.make(host: host)
      try space.map(at: tests.range(0..<4096))
      try space.wire(tests.range(0..<4096))
      var removed: UInt64 = 0
      do throws(HoldfastError) {
        for page in stride(from: UInt64(1), to: 4096, by: 2) {
          try space.remove(tests.range(page..<page + 1))
          removed += 1
        }
        preconditionFailure("no limit")
      } catch {
        precondition(error.code == .resourceShortage)
        precondition(error.advice == .raiseLimit("vm.max_map_count"))
      }
      // A window has no more mappings than it leaves, and a hole takes two.
      precondition(removed > 40 && removed <= 50, "\(removed)")
      precondition(window.mappingCount == kernelMappings(window.hostRange))
      let before = space.entryViews
      do throws(HoldfastError) {
        try space.protect(tests.range(3001..<3002), .read)
        preconditionFailure("no limit")
      } catch {
        precondition(error.code == .resourceShortage && space.entryViews == before)
      }
      tests.word(3001, window).pointee = 9
      // Whole mappings can go at any time.
      try space.remove(tests.range(0..<4096))
      precondition(window.extentCount == 0 && window.mappingCount == 1)
      precondition(tests.arena.allocator.occupancy.free == PageCount(4096))
    }
  }
}
