import Foundation
import Holdfast
import HoldfastTestKit
import Testing

/// No number traps, whatever the call of a monitor.
struct BadValueTests {
  private static let numbers: [UInt64] =
    [0, 1, 4095, 4096, 4097, 1 << 21, 1 << 30, 1 << 46, 1 << 47, 1 << 63, .max - 4095, .max]

  private func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch is HoldfastError {}
  }

  @Test func `limits and segments`() throws {
    let arena = try Arena(size: .mebibytes(4), backing: .base)
    for number in Self.numbers where number <= 4097 || number >= 1 << 46 {
      try attempt { _ = try GuestMemory(arena: arena, limit: ByteCount(number)) }
    }
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(4))
    #expect(memory.addresses.length == memory.limit)
    let segment = try memory.allocateSegment("ram", size: .mebibytes(2))
    for first in Self.numbers {
      try attempt { _ = try memory.allocateSegment("s\(first)", size: ByteCount(first)) }
      for second in Self.numbers {
        let (address, length) = (Address(first), ByteCount(second))
        try attempt { try memory.map(segment, at: address, offset: length) }
        try attempt { try memory.map(segment, at: address, offset: ByteCount(first)) }
        try attempt { try memory.map(segment, at: address, length: length, options: .wired) }
        try attempt { _ = try memory.read(address, count: Int(truncatingIfNeeded: second)) }
        try attempt { try memory.write([1, 2, 3], to: address) }
        guard let range = AddressRange(start: address, length: length) else { continue }
        try attempt { _ = try memory.wire(range) }
        try attempt { try memory.hold(range, for: .readWrite).release() }
        _ = memory.residency(in: range)
        try attempt { try memory.save(range, to: "/dev/null/x", threads: Int.min) }
        try attempt { try memory.unwire(range) }
        try attempt { try memory.unmap(range) }
      }
    }
    #expect(memory.invariantProblems() == [])
  }

  @Test func `snapshots read by any number of threads`() throws {
    try TemporaryFolder.with { folder in
      let file = folder + "/image"
      try Data(count: 8192).write(to: URL(filePath: file))
      let arena = try Arena(size: .mebibytes(4), backing: .base)
      let memory = try GuestMemory(arena: arena, limit: .mebibytes(4))
      for threads in [Int.min, -1, 0, .max] {
        _ = try memory.restoreSegment(
          "\(threads)", from: file, prefetch: .prefetched(threads: threads))
      }
      for path in ["", "/", folder, String(repeating: "x", count: 5000)] {
        #expect(throws: HoldfastError.self) { try memory.restoreSegment("x", from: path) }
      }
    }
  }

  @Test func `operators of the units for a monitor`() {
    #expect(Address(1) - ByteCount(2) == .zero && Address(.max) + ByteCount(1) == Address(.max))
    #expect(Address(1) - Address(2) == .zero)
  }

  @Test func `receipts are read whatever their numbers are`() throws {
    let wire = """
      {"range":{"start":0,"end":4096},"requestedBytes":4096,"residentBytes":NUM,"wiredBytes":NUM,
       "lockedBytes":NUM,"pages":{"4096":NUM,"NUM":NUM},"zeroedAheadBytes":NUM,"zeroedNowBytes":NUM,
       "backing":"base","placement":"window","placementReason":"","path":"prefault",
       "fallbacks":[],"wireSeconds":SEC,"arenaSeconds":SEC,
       "stages":{"allocating":SEC,"zeroing":SEC,"entering":SEC,"finishing":SEC}}
      """
    let fork = """
      {"forkResidentBytes":NUM,"forkSharedBytes":NUM,"forkCopiedBytes":NUM,"forkSeconds":SEC,
       "forkWindowSeconds":SEC}
      """
    let snapshot = """
      {"snapshotPath":"x","snapshotBytes":NUM,"snapshotWrittenBytes":NUM,"saveSeconds":SEC,
       "saveSyncSeconds":SEC}
      """
    for number in Self.numbers {
      for seconds in ["0", "-1", "1e19", "-1e19", "1e300", "-1e300", "1e-300"] {
        func decode<Value: Decodable & CustomStringConvertible>(
          _ type: Value.Type, _ text: String
        ) throws {
          let text = text.replacing("NUM", with: "\(number)").replacing("SEC", with: seconds)
          let value = try JSONDecoder().decode(Value.self, from: Data(text.utf8))
          #expect(!value.description.isEmpty)
        }
        try decode(WireReceipt.self, wire)
        try decode(ForkReceipt.self, fork)
        try decode(SnapshotReceipt.self, snapshot)
      }
    }
  }
}
