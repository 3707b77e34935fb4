import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Arenas of several nodes. Nodes 900 and 901 are simulated: the kernel cannot have them, so it
/// refuses to bind memory to them, as in containers. Everything else is as with real nodes.
struct ArenaNodesTests {
  private func host(_ processors: [UInt32] = []) -> HostCapabilities {
    .withNodes([(900, .mebibytes(512), processors), (901, .mebibytes(512), processors)])
  }

  @Test func `each node has a domain, and a refused binding is reported`() throws {
    let arena = try Arena(
      size: .mebibytes(9), backing: .base, nodes: HostNodes([NodeID(901), NodeID(900)]),
      host: host(), threads: 2)
    #expect(arena.allocator.domains.map(\.node) == [NodeID(900), NodeID(901)])
    #expect(arena.allocator.domains.map(\.frames.count.rawValue) == [1024, 1280])
    #expect(arena.preparation.parts.map(\.size) == [.mebibytes(4), .mebibytes(5)])
    #expect(arena.preparation.parts.allSatisfy { $0.policy == .preferred })
    #expect(
      arena.preparation.fallbacks
        == [900, 901].map {
          "not bound to node \($0): mbind(2) failed (Invalid argument): the node has no memory, or is "
            + "outside of the cpuset"
        })
    #expect(arena.allocator.occupancy.zeroed == arena.allocator.frames.count)
  }

  @Test func `threads that cannot be pinned to a node are reported`() throws {
    let arena = try Arena(
      size: .mebibytes(8), backing: .base, nodes: .bind(NodeID(900)), host: host([8190]),
      threads: 2)
    #expect(
      arena.preparation.fallbacks.last
        == "threads could not be pinned to their nodes: Invalid argument")
  }

  @Test func `zeroing across domains covers every byte of the runs and no other`() throws {
    let processors = Affinity.current?.processors ?? []
    let arena = try Arena(
      size: .mebibytes(12), backing: .base, host: host(processors), threads: 2)
    #expect(arena.parts.count == 2)
    let dirt = [UInt8](repeating: 0xA5, count: Int(arena.size.rawValue))
    arena.write(dirt.span.bytes, to: Frame(0), offset: .zero)
    // The bound is at frame 1536.
    let runs = [(1, 1), (700, 836), (1536, 9), (2000, 1000)]
      .map { FrameRun(Frame($0.0), PageCount($0.1)) }
    for runs in [runs, [FrameRun(Frame(1500), PageCount(72))]] { arena.zero(runs) }
    let zeroed = runs + [FrameRun(Frame(1500), PageCount(72))]
    var page = [UInt8](repeating: 0xEE, count: 4096)
    for number in 0..<UInt64(3072) {
      var span = page.mutableSpan
      var raw = span.mutableBytes
      arena.read(Frame(number), offset: .zero, into: &raw, 0..<4096)
      let expected: UInt8 = zeroed.contains { $0.contains(Frame(number)) } ? 0 : 0xA5
      guard page != [UInt8](repeating: expected, count: 4096) else { continue }
      Issue.record("page \(number) is not all \(expected)")
    }
  }

  @Test func `memory that the kernel refuses to spread comes from any node`() throws {
    // Each node claims more huge pages than the pool has, so the pool refuses.
    try HugePageLock.withLock { () throws in
      var host = HostCapabilities.withNodes(
        [(900, .gibibytes(1), []), (901, .gibibytes(1), [])], hugePages: 1 << 20)
      host.hugePages = [
        HostCapabilities.HugePages(
          size: .mebibytes(2), total: PageCount(1 << 21), free: PageCount(1 << 21), reserved: .zero)
      ]
      let error = #expect(throws: HoldfastError.self) {
        try Arena(size: .gibibytes(200), backing: .hugetlb2M, host: host)
      }
      #expect(error?.errno == 12)
    }
  }

  @Test func `pages are on the node to which they are bound`() throws {
    let nodes = HostProbe().host().memoryNodes
    guard let node = nodes.last else { return }
    let arena = try Arena(size: .mebibytes(8), backing: .base, nodes: .bind(node.id))
    // A container may be forbidden to bind memory.
    let isBound = arena.preparation.parts[0].policy == .bind
    #expect(isBound == arena.preparation.fallbacks.isEmpty)
    let window = try WindowPmap(arena: arena, length: .mebibytes(8), host: HostProbe().host())
    let run = FrameRun(Frame(0), PageCount(2048))
    try window.enter(run, at: .zero, protection: .readWrite, wired: true, reach: nil)
    let range = AddressRange(from: .zero, to: Address(8 << 20))
    let view = try window.kernelView(of: range) { $0(.zero, run) }
    guard let bytes = view.nodes.bytes else { return }
    #expect(bytes.values.reduce(0, +) + view.nodes.unknownBytes == 8 << 20)
    if isBound { #expect(bytes == [node.id: 8 << 20] && view.nodes.strayBytes == 0) }
    // numa_maps counts the same.
    let maps = NumaMapping.parse(
      HostFiles(root: "/").text("/proc/self/numa_maps", limit: 1 << 24) ?? "")
    let mine = maps.filter { $0.start == window.hostRange.address }
    if !maps.isEmpty { #expect(mine.map(\.bytes) == [bytes]) }
  }

  @Test func `pages on another node are reported`() throws {
    let host = HostCapabilities.withNodes([(900, .mebibytes(512), [])])
    // On a host of one node memory is not bound, and the node is not verified, although it is wrong
    // here.
    let arena = try Arena(size: .mebibytes(4), backing: .base, host: host)
    let window = try WindowPmap(arena: arena, length: .mebibytes(4), host: host)
    let run = FrameRun(Frame(0), PageCount(1024))
    try window.enter(run, at: .zero, protection: .readWrite, wired: true, reach: nil)
    let view = try window.kernelView(of: AddressRange(from: .zero, to: Address(4 << 20))) {
      $0(.zero, run)
    }
    guard view.nodes.problem == nil else { return }
    #expect(view.nodes.strayBytes == 4 << 20 && view.nodes.displacedBytes == 0)
    #expect(view.nodes.bytes?[NodeID(900)] == nil)
  }

  @Test func `numa_maps is parsed`() {
    let text = """
      7f00a0000000 bind:1 file=/memfd:holdfast-arena\\040(deleted) huge dirty=4 N1=3 N12=1 kernelpagesize_kB=2048
      7f00b0000000 default anon=3 dirty=3 N0=3 kernelpagesize_kB=4
      7f00c0000000 prefer:0 file=/dev/zero
      garbage
      7f00d0000000 default N1=x Nx=1 N=1 N2=18446744073709551615 kernelpagesize_kB=4
      7f00d
      """
    let maps = NumaMapping.parse(text)
    #expect(
      maps.map(\.start) == [0x7f00_a000_0000, 0x7f00_b000_0000, 0x7f00_c000_0000, 0x7f00_d000_0000])
    #expect(maps.map(\.policy) == ["bind:1", "default", "prefer:0", "default"])
    #expect(maps[0].bytes == [NodeID(1): 6 << 20, NodeID(12): 2 << 20])
    #expect(maps[1].bytes == [NodeID(0): 12288] && maps[2].bytes.isEmpty)
    #expect(maps[3].bytes.keys.map(\.rawValue) == [2])
  }
}
