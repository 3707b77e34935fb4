import HoldfastCore
import HoldfastTestKit
import Synchronization
import Testing

/// Simulated nodes: the distances between them, and the one on which the caller runs.
private final class Nodes: Sendable {
  let local = Atomic<UInt32>(0)
  let distances: [NodeID: [NodeID: Int]]

  /// The distances row by row, as in the kernel's files.
  init(_ numbers: [UInt32], _ rows: [[Int]]) {
    var distances: [NodeID: [NodeID: Int]] = [:]
    for (number, row) in zip(numbers, rows) {
      distances[NodeID(number)] = Dictionary(
        uniqueKeysWithValues: zip(numbers.map { NodeID($0) }, row))
    }
    self.distances = distances
  }

  var topology: NodeTopology {
    NodeTopology(distances: distances) { NodeID(self.local.load(ordering: .relaxed)) }
  }

  /// Two sockets of two nodes each; the numbers have a gap.
  static var four: Nodes {
    Nodes(
      [0, 1, 4, 5],
      [[10, 12, 30, 32], [12, 10, 32, 30], [30, 32, 10, 12], [32, 30, 12, 10]])
  }
}

struct FrameDomainTests {
  /// An allocator with contiguous domains of these numbers of pages.
  private func allocator(
    _ nodes: Nodes, _ sizes: [(node: UInt32?, pages: UInt64)], geometry: Geometry = .small,
    policy: DomainPolicy = .firstTouch, zeroed: Bool = true
  ) -> FrameAllocator {
    var parts: [FrameAllocator.Part] = []
    var start = Frame(0)
    for (node, pages) in sizes {
      let run = FrameRun(start, PageCount(pages))
      parts.append(.init(run, node: node.map { NodeID($0) }))
      start = run.end
    }
    return FrameAllocator(
      geometry: geometry, checked: parts, topology: nodes.topology, policy: policy, zeroed: zeroed)
  }

  /// The nodes of blocks that are allocated until no frame is free.
  private func drain(_ allocator: FrameAllocator, order: Int) -> [UInt32?] {
    var nodes: [UInt32?] = []
    var dirty: [FrameRun] = []
    while let block = allocator.allocateLargest(order: order, dirty: &dirty) {
      nodes.append(allocator.domain(of: block.run.start).node?.rawValue)
    }
    return nodes
  }

  private func runs(_ nodes: [UInt32?]) -> [UInt32?] {
    nodes.reduce(into: []) { if $0.isEmpty || $0.last! != $1 { $0.append($1) } }
  }

  private let sizes: [(node: UInt32?, pages: UInt64)] = [
    (0, 2048), (1, 1024), (4, 2048), (5, 1536),
  ]

  @Test(
    arguments: [
      (0, [0, 1, 4, 5]), (1, [1, 0, 5, 4]), (4, [4, 5, 0, 1]), (5, [5, 4, 1, 0]),
    ] as [(UInt32, [UInt32])])
  func `first touch tries nodes from near to far`(local: UInt32, expected: [UInt32]) {
    let nodes = Nodes.four
    nodes.local.store(local, ordering: .relaxed)
    let allocator = allocator(nodes, sizes)
    #expect(runs(drain(allocator, order: 9)) == expected)
    #expect(allocator.occupancy.free == .zero)
  }

  @Test func `first touch allocates from the thread's node`() {
    let nodes = Nodes([0, 1], [[10, 20], [20, 10]])
    let allocator = allocator(nodes, [(0, 1024), (1, 1024)])
    var dirty: [FrameRun] = []
    for node: UInt32 in [1, 0, 0, 1] {
      nodes.local.store(node, ordering: .relaxed)
      let block = allocator.allocate(order: 9, dirty: &dirty)
      #expect(allocator.domain(of: block!.run.start).node == NodeID(node))
    }
  }

  @Test func `a node without frames allocates from the nearest one`() {
    let nodes = Nodes.four
    // Node 4 has processors but no part of this arena.
    let allocator = allocator(nodes, [(0, 512), (1, 512), (5, 512)])
    #expect(drain(allocator.withPolicy(.prefer(NodeID(4))), order: 9) == [5, 0, 1])
  }

  @Test func `a preferred node is used first, the others after it`() {
    let allocator = allocator(.four, sizes, policy: .prefer(NodeID(4)))
    #expect(runs(drain(allocator, order: 9)) == [4, 5, 0, 1])
  }

  @Test func `a strict node policy uses no other node`() {
    let shared = allocator(.four, sizes)
    let strict = shared.withPolicy(.only(NodeID(1)))
    #expect(drain(strict, order: 9) == [1, 1])
    var dirty: [FrameRun] = []
    #expect(strict.allocate(order: 0, dirty: &dirty) == nil)
    #expect(strict.allocate(Frame(0)) == nil && shared.allocate(Frame(0)) != nil)
    #expect(
      strict.allowedOccupancy.free == .zero && strict.allowedOccupancy.total == PageCount(1024))
    #expect(strict.occupancy.free == PageCount(2048 + 2048 + 1536 - 1))
    // A node that has no part here.
    let none = shared.withPolicy(.only(NodeID(7)))
    #expect(none.allocate(order: 0, dirty: &dirty) == nil)
    // Frames of an unknown node cannot serve a strict policy.
    let unknown = FrameAllocator(
      geometry: .small, checked: FrameRun(Frame(0), PageCount(512)), zeroed: true)
    #expect(unknown.withPolicy(.only(NodeID(0))).allocate(order: 0, dirty: &dirty) == nil)
    #expect(unknown.occupancy.free == PageCount(512))
  }

  @Test func `round robin spreads large pages evenly and skips a domain that is used up`() {
    let allocator = allocator(.four, sizes, policy: .roundRobin)
    let nodes = drain(allocator, order: 18)
    #expect(nodes.count == (2048 + 1024 + 2048 + 1536) / 512)
    #expect(nodes.prefix(8) == [0, 1, 4, 5, 0, 1, 4, 5])
    for (node, pages) in sizes { #expect(nodes.count { $0 == node } == Int(pages) / 512) }
    let some = allocator.withPolicy(
      DomainPolicy(.roundRobin, nodes: [NodeID(0), NodeID(5)]))
    #expect(some.allowedOccupancy.total == PageCount(2048 + 1536))
  }

  @Test func `a domain is used up, down to base pages, before the next one is tried`() throws {
    let nodes = Nodes([0, 1], [[10, 20], [20, 10]])
    let allocator = allocator(nodes, [(0, 512), (1, 512)], policy: .prefer(NodeID(0)))
    // Every other frame of node 0.
    for frame in 0..<UInt64(256) { _ = try #require(allocator.allocate(Frame(frame * 2))) }
    let blocks = drain(allocator, order: 9)
    #expect(blocks == Array(repeating: 0, count: 256) + [1])
  }

  @Test func `blocks are naturally aligned and within one domain, wherever domains begin`() {
    let nodes = Nodes([0, 1, 2], [[10, 20, 20], [20, 10, 20], [20, 20, 10]])
    // The second begins in the middle of a superpage, all in the middle of a block of 1 GiB.
    let allocator = allocator(nodes, [(0, 700), (1, 5000), (2, 1 << 18)])
    var dirty: [FrameRun] = []
    var held: [FrameRun] = []
    while let block = allocator.allocateLargest(order: 18, dirty: &dirty) {
      let run = block.run
      #expect(run.start.rawValue % run.count.rawValue == 0, "\(run)")
      let first = allocator.domain(of: run.start)
      #expect(run.start >= first.frames.start && run.end <= first.frames.end, "\(run)")
      held.append(run)
    }
    var covered = held.reduce(UInt64(0)) { $0 + $1.count.rawValue }
    #expect(covered == 700 + 5000 + 1 << 18 && allocator.occupancy.free == .zero)
    covered = 0
    // A run across the bound of two domains is freed in both.
    allocator.free(FrameRun(Frame(600), PageCount(200)), zeroed: false)
    #expect(allocator.domains.map(\.occupancy.free.rawValue) == [100, 100, 0])
    #expect(allocator.largestFreeOrder == 6)
  }

  @Test func `allocators with different policies share their frames`() {
    let one = allocator(.four, sizes)
    let other = one.withPolicy(.only(NodeID(5))).withPolicy(.roundRobin)
    #expect(one.sharesFrames(with: other) && other.sharesFrames(with: one))
    #expect(!one.sharesFrames(with: allocator(.four, sizes)))
    var dirty: [FrameRun] = []
    let block = one.allocate(order: 4, dirty: &dirty)!
    #expect(other.occupancy.free == one.occupancy.free && other.occupancy.total.rawValue == 6656)
    other.free(block.run, zeroed: true)
    #expect(one.occupancy.zeroed == one.occupancy.total)
    #expect(one.withPolicy(one.policy) === one)
  }

  @Test func `freeing a frame twice or a foreign frame traps`() async {
    await #expect(processExitsWith: .failure) {
      let allocator = FrameAllocator(
        geometry: .small,
        checked: [
          .init(FrameRun(Frame(0), PageCount(700)), node: NodeID(0)),
          .init(FrameRun(Frame(700), PageCount(700)), node: NodeID(1)),
        ], zeroed: true)
      // Position of the second buddy system that no frame of the domain has.
      allocator.free(FrameRun(Frame(699), .one), zeroed: true)
    }
    await #expect(processExitsWith: .failure) {
      let allocator = FrameAllocator(
        geometry: .small,
        checked: [
          .init(FrameRun(Frame(0), PageCount(700)), node: NodeID(0)),
          .init(FrameRun(Frame(700), PageCount(700)), node: NodeID(1)),
        ], zeroed: true)
      var dirty: [FrameRun] = []
      while allocator.allocate(order: 0, dirty: &dirty) != nil {}
      allocator.free(FrameRun(Frame(1399), PageCount(2)), zeroed: true)
    }
  }

  @Test(arguments: [UInt64(1), 2, 3, 4])
  func `random work by all policies keeps every frame accounted for`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let nodes = Nodes.four
    let shared = allocator(nodes, [(0, 900), (1, 3000), (nil, 513), (5, 2048)], zeroed: false)
    let policies: [DomainPolicy] = [
      .firstTouch, .roundRobin, .prefer(NodeID(5)), .only(NodeID(1)), .only(NodeID(4)),
      DomainPolicy(.roundRobin, nodes: [NodeID(0), NodeID(5)]), DomainPolicy(nodes: [NodeID(1)]),
    ]
    let views = policies.map { shared.withPolicy($0) }
    /// The owner of each frame.
    var owned = [Bool](repeating: false, count: Int(shared.frames.count.rawValue))
    func node(_ frame: UInt64) -> UInt32? {
      frame < 900 ? 0 : frame < 3900 ? 1 : frame < 4413 ? nil : 5
    }
    var held: [FrameRun] = []
    for step in 0..<2000 {
      let view = views.randomElement(using: &random)!
      nodes.local.store([0, 1, 4, 5, 9].randomElement(using: &random)!, ordering: .relaxed)
      if Int.random(in: 0..<100, using: &random) < 60 {
        var dirty: [FrameRun] = []
        let order = Int.random(in: 0...10, using: &random)
        guard let block = view.allocateLargest(order: order, dirty: &dirty) else {
          let free = owned.indices.contains { frame in
            !owned[frame] && view.policy.allows(node(UInt64(frame)).map { NodeID($0) })
          }
          #expect(!free, "step \(step): \(view.policy) finds nothing")
          continue
        }
        for frame in block.run.start.rawValue..<block.run.end.rawValue {
          #expect(!owned[Int(frame)], "step \(step)")
          #expect(view.policy.allows(node(frame).map { NodeID($0) }), "step \(step)")
          owned[Int(frame)] = true
        }
        held.append(block.run)
      } else if let index = held.indices.randomElement(using: &random) {
        let run = held.remove(at: index)
        for frame in run.start.rawValue..<run.end.rawValue { owned[Int(frame)] = false }
        view.free(run, zeroed: Bool.random(using: &random))
      }
      #expect(shared.occupancy.free.rawValue == UInt64(owned.count { !$0 }), "step \(step)")
    }
    for run in held { shared.free(run, zeroed: false) }
    for domain in shared.domains { #expect(domain.occupancy.free == domain.frames.count) }
  }
}
