import Foundation
import Holdfast
import HoldfastTestKit
import Testing

/// Receipts as JSON and as text.
struct ReceiptTests {
  private let sorted: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return encoder
  }()

  private func keys(_ value: some Encodable) throws -> Set<String> {
    let object = try JSONSerialization.jsonObject(with: sorted.encode(value))
    return Set(try #require(object as? [String: Any]).keys)
  }

  /// Encodes, decodes and encodes again.
  private func again<Value: Codable>(_ value: Value) throws -> Value {
    let data = try sorted.encode(value)
    let decoded = try JSONDecoder().decode(Value.self, from: data)
    #expect(try sorted.encode(decoded) == data)
    return decoded
  }

  @Test func `a wire receipt has the keys of the program and survives JSON`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    let receipt = try memory.map(ram, at: Address(1 << 20), options: .wired)
    let expected: Set<String> = [
      "range", "requestedBytes", "residentBytes", "wiredBytes", "lockedBytes", "pages",
      "zeroedAheadBytes", "zeroedNowBytes", "backing", "path", "fallbacks", "wireSeconds",
      "stages", "arenaSeconds", "placement", "placementReason",
    ]
    #expect(try keys(receipt) == expected.union(["lockProblem"]))
    let decoded = try again(receipt)
    #expect(decoded.range == receipt.range && decoded.pages == receipt.pages)
    #expect(decoded.path == .prefault && decoded.backing == .base)
    #expect(decoded.description == receipt.description)
    let error = #expect(throws: HoldfastError.self) { try decoded.verify() }
    #expect(error?.code == .invalidAddress)
    #expect(receipt.description.hasPrefix("4 MiB of guest memory at 0x100000 wired in "))
    #expect(receipt.description.contains("\n  pages: 1024 of 4 KiB, base\n"))
  }

  @Test func `a verification has the keys of the program and survives JSON`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    let verification = try memory.map(ram, at: .zero, options: .wired).verify()
    let required: Set<String> = ["pages", "verified", "verifiedFrames", "problems", "notes"]
    #expect(try keys(verification).isSuperset(of: required))
    #expect(try again(verification) == verification)
    #expect(verification.description.hasPrefix("verified against pagemap and mincore(2)"))
  }

  @Test func `a receipt of a mapping that is not wired states that`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    let receipt = try memory.map(ram, at: .zero)
    #expect(
      receipt.description == "4 MiB of guest memory at 0x0 mapped, not wired; 0 bytes resident")
    #expect(try again(receipt).path == nil)
  }

  @Test func `a snapshot's receipt has the keys of the program and survives JSON`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let memory = try GuestMemory(arena: arena, limit: .mebibytes(8))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(4))
    let range = try memory.map(ram, at: .zero, options: .wired).range
    try memory.write([1], to: .zero)
    try TemporaryFolder.with { folder in
      let receipt = try memory.save(range, to: "\(folder)/image")
      let expected: Set<String> = [
        "snapshotPath", "snapshotBytes", "snapshotWrittenBytes", "saveSeconds", "saveSyncSeconds",
      ]
      #expect(try keys(receipt) == expected)
      #expect(try again(receipt).holeBytes == receipt.holeBytes)
      #expect(receipt.description.hasSuffix(": 4 KiB written, 3.9 MiB of holes"))
    }
  }

  @Test(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
  func `a fork's receipt has the keys of the program and survives JSON`() throws {
    let arena = try Arena(size: .mebibytes(8), backing: .base, threads: 1)
    let memory = try GuestMemory(
      arena: arena, limit: .mebibytes(8), demandPaging: DemandPaging(granularity: .basePage))
    try memory.map(try memory.allocateSegment("ram", size: .mebibytes(4)), at: .zero)
    try memory.write([1], to: .zero)
    let receipt = try memory.fork().receipt
    let expected: Set<String> = [
      "forkResidentBytes", "forkSharedBytes", "forkCopiedBytes", "forkSeconds",
      "forkWindowSeconds",
    ]
    #expect(try keys(receipt) == expected)
    #expect(try again(receipt).sharedBytes == .kibibytes(4))
    #expect(receipt.description.hasSuffix(": 4 KiB resident, 4 KiB shared, 0 bytes copied"))
  }

  @Test func `JSON that contradicts itself is refused`() throws {
    let fork = """
      {"forkResidentBytes": 1, "forkSharedBytes": 2, "forkSeconds": 0, "forkWindowSeconds": 0}
      """
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(ForkReceipt.self, from: Data(fork.utf8))
    }
  }
}
