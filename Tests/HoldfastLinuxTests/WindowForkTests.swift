import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Forked address spaces over windows of one arena: each side sees its own bytes through its own
/// mappings.
struct WindowForkTests {
  private let arena: Arena
  private let range = AddressRange(from: .zero, to: Address(4 << 20))

  init() throws {
    arena = try Arena(size: .mebibytes(32), backing: .base)
  }

  private func makeWindow() throws -> WindowPmap {
    try WindowPmap(arena: arena, length: .mebibytes(4), host: HostProbe().host())
  }

  private func word(_ page: UInt64, _ window: WindowPmap) -> UnsafeMutablePointer<UInt64> {
    UnsafeMutablePointer(bitPattern: UInt(window.hostRange.address + page << 12))!
  }

  @Test(arguments: [false, true])
  func `a child has the parent's bytes at the fork, and later writes are private`(
    wired: Bool
  ) throws {
    let window = try makeWindow()
    let parent = try AddressSpace(bounds: range, memory: arena.memory, pmap: window)
    try parent.map(at: range)
    try parent.wire(range)
    for page in 0..<UInt64(1024) { word(page, window).pointee = page + 1 }
    if !wired { try parent.unwire(range) }

    let childWindow = try makeWindow()
    let child = try parent.fork(pmap: childWindow)
    for page in stride(from: UInt64(0), to: 1024, by: 3) {
      if !wired { try parent.fault(Address(page << 12), .write) }
      word(page, window).pointee = 5000 + page
    }
    for page in stride(from: UInt64(1), to: 1024, by: 3) {
      try child.fault(Address(page << 12), .write)
      word(page, childWindow).pointee = 9000 + page
    }
    for page in 0..<UInt64(1024) {
      try child.fault(Address(page << 12), .read)
      if !wired { try parent.fault(Address(page << 12), .read) }
      #expect(word(page, window).pointee == (page % 3 == 0 ? 5000 + page : page + 1))
      #expect(word(page, childWindow).pointee == (page % 3 == 1 ? 9000 + page : page + 1))
    }
    #expect(
      Invariants.problems(in: arena.memory, spaces: [parent, child]) == [])
    try child.remove(range)
    try parent.remove(range)
    #expect(arena.allocator.occupancy.free == arena.allocator.frames.count)
  }
}
