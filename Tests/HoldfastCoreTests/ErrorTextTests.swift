import HoldfastCore
import HoldfastTestKit
import Testing

/// What people read when an operation on an address space fails.
struct ErrorTextTests {
  private let machine = Machine(frames: 64, wiredLimit: WiredLimit(.kibibytes(16)))
  private let space: AddressSpace

  init() throws {
    space = try AddressSpace(
      bounds: AddressRange(from: .zero, to: Address(8 << 20)), memory: machine.memory,
      pmap: CheckingPmap(geometry: machine.geometry), wiredLimit: machine.wiredLimit)
    try space.map(at: machine.range(16..<32), maximum: .readWrite)
  }

  private func text(_ body: () throws -> Void) -> String? { failure(body)?.description }

  @Test func `an error says what is wrong with the range`() {
    let unaligned = AddressRange(from: Address(0x7b), to: Address(0x107b))
    let reason = "the range 0x7b..<0x107b is not page-aligned"
    #expect(text { try space.map(at: unaligned) } == "cannot map 0x7b..<0x107b: \(reason)")
    #expect(text { try space.wire(unaligned) } == "cannot wire 0x7b..<0x107b: \(reason)")
    #expect(text { try space.unwire(unaligned) } == "cannot unwire 0x7b..<0x107b: \(reason)")
    #expect(text { try space.remove(unaligned) } == "cannot unmap 0x7b..<0x107b: \(reason)")
    #expect(
      text { try space.protect(unaligned, .read) }
        == "cannot set the protection of 0x7b..<0x107b to r--: \(reason)")
    #expect(
      text { try space.map(at: machine.range(0..<0)) }
        == "cannot map 0x0..<0x0: the range 0x0..<0x0 is empty")
    #expect(
      text { try space.map(at: AddressRange(from: .zero, to: Address(64 << 20))) }
        == "cannot map 0x0..<0x4000000: range 0x0..<0x4000000 exceeds the guest's limit of 8 MiB")
    #expect(
      text { try space.map(at: machine.range(8..<24)) }
        == "cannot map 0x8000..<0x18000: the range overlaps a mapping at 0x10000")
  }

  @Test func `an error says what the mapping does not allow`() {
    #expect(
      text { try space.map(at: machine.range(0..<1), protection: .all, maximum: .readWrite) }
        == "cannot map 0x0..<0x1000: protection rwx exceeds the maximum rw-")
    #expect(
      text { try space.protect(machine.range(16..<17), .all) }
        == "cannot set the protection of 0x10000..<0x11000 to rwx: "
        + "protection rwx exceeds the maximum rw- at 0x10000")
    #expect(
      text { try space.fault(machine.address(16), .execute) }
        == "cannot resolve a page fault (--x): "
        + "protection rw- does not allow the access --x at 0x10000")
    #expect(
      text { try space.wire(machine.range(16..<24)) }
        == "cannot wire 0x10000..<0x18000: 32 KiB more exceed the wired limit of 16 KiB at 0x10000")
    #expect(
      text { try space.unwire(machine.range(16..<17), .system) }
        == "cannot unwire 0x10000..<0x11000: the mapping has no system wiring at 0x10000")
  }

  @Test func `an error names the operation of the caller`() throws {
    #expect(
      text { try space.wire(machine.range(0..<1)) }
        == "cannot wire 0x0..<0x1000: nothing is mapped at 0x0")
    var bytes: [UInt8] = [1, 2, 3]
    #expect(
      text {
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        try space.read(.zero, into: &raw)
      } == "cannot read 3 bytes at 0x0: nothing is mapped at 0x0")
    #expect(
      text { try space.write(bytes.span.bytes, to: Address(0x30000)) }
        == "cannot write 3 bytes at 0x30000: nothing is mapped at 0x30000")
    let error = try #require(failure { try space.wire(machine.range(0..<1)) })
    #expect(error.range == machine.range(0..<1) && error.address == .zero)
  }
}
