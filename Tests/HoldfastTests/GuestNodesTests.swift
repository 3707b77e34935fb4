import Holdfast
import HoldfastCore
import Testing

@testable import HoldfastLinux

/// Guests on arenas of several nodes that this host lacks: the kernel has all memory elsewhere.
struct GuestNodesTests {
  private let one = NodeID(900)
  private let other = NodeID(901)

  /// 8 MiB of each node.
  private func arena() throws -> Arena {
    var host = HostProbe().host()
    host.nodes = [one, other].map { id in
      HostCapabilities.Node(
        id: id, total: .gibibytes(1), free: .gibibytes(1), available: .gibibytes(1),
        hugePages: [], processors: [], usableProcessors: [], distances: [], isAllowed: true)
    }
    return try Arena(
      size: .mebibytes(16), backing: .base, nodes: HostNodes([one, other]), host: host, threads: 1)
  }

  private func free(_ arena: Arena) -> [UInt64] {
    arena.allocator.domains.map { $0.occupancy.free.rawValue >> 8 }
  }

  @Test func `a guest's memory comes from its node and no other`() throws {
    let arena = try arena()
    let memory = try GuestMemory(
      arena: arena, limit: .mebibytes(16), hostNUMANode: .only(other))
    let ram = try memory.allocateSegment("ram", size: .mebibytes(8))
    let receipt = try memory.map(ram, at: .zero, options: .wired)
    #expect(free(arena) == [8, 0])
    let verification = try receipt.verify()
    // The pages are where the kernel reports them, not on the node that was preferred.
    #expect(verification.problems == [])
    if let nodes = verification.nodes {
      #expect(nodes[other] == nil && nodes.values.reduce(.zero, +) == .mebibytes(8))
      #expect(
        verification.notes.contains("8 MiB on other nodes than those that were preferred"))
    }
    #expect(receipt.fallbacks.contains { $0.hasPrefix("not bound to node 901: mbind(2) failed") })
    let more = try memory.allocateSegment("more", size: .mebibytes(4))
    let error = #expect(throws: HoldfastError.self) {
      try memory.map(more, at: Address(8 << 20), options: .wired)
    }
    #expect(error?.code == .resourceShortage)
    #expect(error?.advice == .enlargeArena(free: .zero, total: .mebibytes(8)))
    #expect(free(arena) == [8, 0])
  }

  @Test func `guests of different policies share an arena`() throws {
    let arena = try arena()
    let first = try GuestMemory(arena: arena, limit: .mebibytes(16), hostNUMANode: .roundRobin)
    let second = try GuestMemory(arena: arena, limit: .mebibytes(16), hostNUMANode: .prefer(other))
    let spread = try first.allocateSegment("ram", size: .mebibytes(8))
    try first.map(spread, at: .zero, options: .wired)
    #expect(free(arena) == [4, 4])
    // One guest's segment may be another's too.
    try second.map(spread, at: Address(8 << 20), options: .wired)
    let ram = try second.allocateSegment("ram", size: .mebibytes(6))
    try second.map(ram, at: .zero, options: .wired)
    #expect(free(arena) == [2, 0])
  }

  @Test func `a node that the arena has no memory of is refused`() throws {
    let arena = try arena()
    let error = #expect(throws: HoldfastError.self) {
      try GuestMemory(arena: arena, limit: .mebibytes(16), hostNUMANode: .only(NodeID(3)))
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.reason == "the arena has no memory of node 3, but of node 900, 901")
  }
}
