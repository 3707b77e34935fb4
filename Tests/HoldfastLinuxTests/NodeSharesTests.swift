import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

struct NodeSharesTests {
  @Test(
    arguments: [
      // Size, unit, room, shares.
      (100, 10, [1000, 1000], [50, 50]), (100, 10, [20, 1000], [20, 80]),
      (100, 10, [1000, 29], [80, 20]), (105, 10, [1000, 1000], [50, 55]),
      (30, 10, [100, 100], [20, 10]), (5, 10, [100, 100], [0, 5]), (0, 10, [100, 100], [0, 0]),
      (100, 10, [30, 30, 30], [30, 30, 40]), (100, 10, [0, 0], [0, 100]), (100, 1, [100], [100]),
      (90, 10, [0, 100, 20], [0, 70, 20]), (10, 10, [5, 5], [0, 10]),
    ] as [(UInt64, UInt64, [UInt64], [UInt64])])
  func evenlyAsFarAsThereIsRoom(
    _ size: UInt64, _ unit: UInt64, _ room: [UInt64], _ shares: [UInt64]
  ) {
    #expect(NodeShares.divide(size, unit: unit, room: room) == shares)
  }

  @Test func `shares add up, and none exceeds its room`() {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<2000 {
      let unit = UInt64.random(in: 1...64, using: &random)
      let room = (0..<Int.random(in: 1...9, using: &random)).map { _ in
        UInt64.random(in: 0...4096, using: &random)
      }
      let whole = room.reduce(0) { $0 + $1 / unit * unit }
      let size = UInt64.random(in: 0...whole, using: &random) / unit * unit
      let shares = NodeShares.divide(size, unit: unit, room: room)
      #expect(shares.reduce(0, +) == size)
      for (share, room) in zip(shares, room) { #expect(share <= room && share % unit == 0) }
      // A share with room left is as large as any other, except for one unit.
      let most = shares.max() ?? 0
      for (share, room) in zip(shares, room) where share + unit <= room {
        #expect(share + unit >= most, "\(size) in \(unit) over \(room): \(shares)")
      }
    }
    #expect(NodeShares.divide(.max, unit: 1, room: [.max, .max]).reduce(0, &+) == .max)
  }

  private func parts(
    _ size: ByteCount, _ backing: Backing, _ nodes: HostNodes?, _ host: HostCapabilities,
    spread: Bool = true
  ) throws -> [ArenaPart] {
    let choice = try BackingChoice(size: size, wanted: backing, nodes: nodes, host: host)
    return NodeShares.parts(choice, nodes, host, spread: spread)
  }

  private let two = HostCapabilities.withNodes([
    (0, .gibibytes(1), [0]), (3, .gibibytes(2), [1]),
  ])

  @Test func `without named nodes all are used`() throws {
    let parts = try parts(.mebibytes(9), .base, nil, two)
    #expect(parts.map(\.node) == [NodeID(0), NodeID(3)])
    let bytes: [Range<UInt64>] = [0..<4 << 20, 4 << 20..<9 << 20]
    #expect(parts.map(\.bytes) == bytes)
    // The room is an estimate, and the caller asked for no nodes.
    #expect(parts.allSatisfy { $0.policy == .preferred && !$0.isStrict })
    #expect(parts.map(\.processors) == [[0], [1]])
    let gathered = try self.parts(.mebibytes(9), .base, nil, two, spread: false)
    #expect(gathered.count == 1 && gathered[0].node == nil && gathered[0].policy == nil)
  }

  @Test func `named nodes are bound strictly`() throws {
    let parts = try parts(.mebibytes(8), .base, .bind(NodeID(3)), two)
    #expect(parts.count == 1 && parts[0].node == NodeID(3) && parts[0].policy == .bind)
    #expect(parts[0].isStrict)
    let preferred = try self.parts(
      .mebibytes(8), .base, HostNodes([NodeID(3), NodeID(0), NodeID(3)], policy: .preferred), two)
    #expect(preferred.map(\.node) == [NodeID(0), NodeID(3)] && !preferred[0].isStrict)
  }

  @Test func `a single node needs no binding`() throws {
    let host = HostCapabilities.withNodes([(5, .gibibytes(1), [0, 1])])
    let parts = try parts(.mebibytes(8), .base, nil, host)
    #expect(parts.count == 1 && parts[0].node == NodeID(5) && parts[0].policy == nil)
    #expect(parts[0].processors.isEmpty)
  }

  @Test func `an error for a node with too little memory names the others`() throws {
    let error = #expect(throws: HoldfastError.self) {
      try parts(.gibibytes(2), .base, .bind(NodeID(0)), two)
    }
    #expect(
      error?.reason.contains(" are needed, 262144 are available (1024 MiB, of which ") == true)
    #expect(error?.reason.hasSuffix(" on node 0, node 3 has 2 GiB") == true)
    // The two together have it.
    let both = try parts(.mebibytes(2048), .base, HostNodes([NodeID(0), NodeID(3)]), two)
    let counts: [UInt64] = both.map { UInt64($0.bytes.count) }
    #expect(counts == [1 << 30, 1 << 30])
  }

  @Test func `huge pages of a node`() throws {
    var host = HostCapabilities.withNodes(
      [(0, .gibibytes(1), [0]), (3, .gibibytes(1), [1])], hugePages: 4)
    host.privileges.effectiveUser = 0
    host.hugePages = [
      HostCapabilities.HugePages(
        size: .mebibytes(2), total: PageCount(8), free: PageCount(8), reserved: PageCount(5))
    ]
    // Of the pool three are not promised, wherever they lie.
    let error = #expect(throws: HoldfastError.self) {
      try parts(.mebibytes(8), .hugetlb2M, .bind(NodeID(3)), host)
    }
    #expect(
      error?.reason
        == "4 hugetlb pages of 2 MiB are needed, 3 are free on node 3, node 0 has 4")
    let file = "/sys/devices/system/node/node3/hugepages/hugepages-2048kB/nr_hugepages"
    #expect(error?.advice?.description == "as root: echo 5 > \(file)")
    host.hugePages[0].reserved = .zero
    #expect(try parts(.mebibytes(8), .hugetlb2M, .bind(NodeID(3)), host)[0].policy == .bind)
    let more = #expect(throws: HoldfastError.self) {
      try parts(.mebibytes(26), .hugetlb2M, HostNodes([NodeID(0), NodeID(3)]), host)
    }
    #expect(
      more?.reason.contains("13 hugetlb pages of 2 MiB are needed, 8 are free on nodes 0 and 3")
        == true)
    #expect(
      more?.advice?.description.contains("echo 7 > ") == true
        && more?.advice?.description.contains("&& echo 6") == true)
    // Without names the pool's pages are taken where they are, which is no guess.
    let spread = try parts(.mebibytes(12), .hugetlb2M, nil, host)
    #expect(spread.map(\.policy) == [.bind, .bind])
  }

  @Test func `missing huge pages of each node`() throws {
    let host = HostCapabilities.withNodes(
      [(0, .mebibytes(16), [0]), (3, .gibibytes(1), [])], hugePages: 4)
    func missing(_ count: UInt64, _ nodes: [UInt32]) throws -> [UInt64] {
      try HostNodes(nodes.map { NodeID($0) })
        .missingHugePages(PageCount(count), of: .mebibytes(2), on: host).map(\.pages.rawValue)
    }
    #expect(try missing(10, [3]) == [6] && missing(4, [3]) == [0])
    #expect(try missing(10, [0, 3]) == [1, 1])
    // Node 0 has memory for twelve.
    #expect(try missing(40, [0, 3]) == [8, 24])
  }

  @Test func `nodes that cannot be used are errors`() {
    var host = HostCapabilities.withNodes([
      (0, .gibibytes(1), [0]), (1, .zero, [1]), (2, .gibibytes(3), [2]),
    ])
    host.nodes[2].isAllowed = false
    func problem(_ node: UInt32, _ host: HostCapabilities) -> String {
      (#expect(throws: HoldfastError.self) { try HostNodes.bind(NodeID(node)).check(host) })?
        .description ?? ""
    }
    let there = "; nodes with memory: 0 (1 GiB available); try: a node that exists, such as 0"
    #expect(problem(7, host) == "cannot allocate from node 7: the node does not exist" + there)
    #expect(
      problem(1, host)
        == "cannot allocate from node 1: the node has processors but no memory" + there)
    #expect(problem(2, host).contains("the node is outside of this process's cpuset"))
    host.nodes = []
    #expect(problem(0, host).contains("this host reports no NUMA nodes; try: memory of any node"))
  }
}
