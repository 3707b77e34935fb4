import Foundation
import Holdfast
import HoldfastCore
import HoldfastKVM
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests that are restored from a snapshot.
@Suite(
  .enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"),
  .enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct SnapshotGuestTests {
  @Test func `memory on both sides of the hole is saved in one file and found again`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "image").path
    let layout = try RAMLayout(size: .gibibytes(4))
    // The guest uses little of its 4 GiB.
    let used = [
      AddressRange(from: Address(16 << 20), to: Address(24 << 20)),
      AddressRange(from: Address(3 << 30 - 4 << 20), to: Address(3 << 30)),
      AddressRange(from: Address(4 << 30), to: Address(4 << 30 + 6 << 20)),
    ]
    let arena = try Arena(size: .mebibytes(64), for: .paging, backing: .base, threads: 2)
    do {
      let memory = try GuestMemory(
        arena: arena, limit: layout.limit, demandPaging: DemandPaging())
      try memory.mapRAM(layout)
      let result = try GuestProgram.fill.run(on: memory, over: used, seed: 5)
      #expect(result.isComplete)
      let all = AddressRange(from: .zero, to: .zero + layout.limit)
      let receipt = try memory.save(all, to: path)
      #expect(receipt.bytes == .gibibytes(5) && receipt.writtenBytes == .mebibytes(18))
    }
    let memory = try GuestMemory(arena: arena, limit: layout.limit, demandPaging: DemandPaging())
    let segment = try memory.restoreSegment("ram", from: path)
    for piece in layout.pieces {
      try memory.map(
        segment, at: piece.range.start, offset: piece.range.start - .zero,
        length: piece.range.length)
    }
    let check = try GuestProgram.check.run(on: memory, over: used, processors: 2, seed: 5)
    #expect(check.wrongWords == 0 && check.touches == 18 << 8)
    let beside = [AddressRange(from: Address(24 << 20), to: Address(28 << 20))]
    #expect(try GuestProgram.scanAll.run(on: memory, over: beside).wrongWords == 0)
    let statistics = try #require(memory.faultHandler).statistics
    #expect(statistics.pagedFaults >= 9 && statistics.failures == 0)
  }
}
