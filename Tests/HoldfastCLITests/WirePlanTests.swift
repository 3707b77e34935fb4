import HoldfastCore
import Testing

@testable import HoldfastCLI
@testable import HoldfastLinux

struct WirePlanTests {
  private func host(small: UInt64, giant: UInt64) -> HostCapabilities {
    var host = HostProbe(root: "/nonexistent").host()
    host.memory.available = .gibibytes(16)
    host.hugePages = [(ByteCount.mebibytes(2), small), (.gibibytes(1), giant)].map {
      HostCapabilities.HugePages(
        size: $0, total: PageCount($1), free: PageCount($1), reserved: .zero)
    }
    return host
  }

  private func plan(
    _ host: HostCapabilities, _ memory: ByteCount, _ backing: BackingOption, reserve: Bool = true
  ) throws -> WirePlan {
    try WirePlan(host, memory: memory, backing: backing, reserve: reserve)
  }

  @Test func onlyMissingPagesAreReserved() throws {
    let host = host(small: 200, giant: 3)
    let small = try plan(host, .gibibytes(4), .hugetlb2M)
    #expect(small.missing?.pages == PageCount(1848) && small.missing?.pageSize == .mebibytes(2))
    let enough = try plan(host, .mebibytes(400), .hugetlb2M)
    #expect(enough.missing?.pages == .zero)
    let giant = try plan(host, .gibibytes(4), .hugetlb1G)
    #expect(giant.missing?.pages == .one && giant.missing?.pageSize == .gibibytes(1))
  }

  @Test func automaticUsesAPoolWithRoomOrAddsSmallPages() throws {
    let host = host(small: 200, giant: 3)
    let ready = try plan(host, .gibibytes(3), .auto)
    #expect(ready.backing == .hugetlb1G && ready.missing?.pages == .zero)
    let added = try plan(host, .gibibytes(4), .auto)
    #expect(added.backing == .hugetlb2M && added.missing?.pages == PageCount(1848))
    let untouched = try plan(host, .gibibytes(4), .auto, reserve: false)
    #expect(untouched.backing == nil && untouched.missing == nil)
  }

  @Test func reservingCannotPassTheHugetlbCgroup() throws {
    var host = host(small: 200, giant: 0)
    host.hugePages[0].cgroup = .init(
      file: "/x/hugetlb.2MB.max", limit: .gibibytes(2), remaining: .gibibytes(1))
    let error = #expect(throws: HoldfastError.self) { try plan(host, .gibibytes(4), .auto) }
    #expect(error?.reason.contains("the hugetlb cgroup leaves 1 GiB") == true)
  }

  /// Two nodes of 4 GiB; the second has 100 huge pages.
  private var twoNodes: HostCapabilities {
    var host = host(small: 100, giant: 0)
    host.nodes = [(UInt32(0), UInt64(0)), (1, 100)].map { id, pages in
      HostCapabilities.Node(
        id: NodeID(id), total: .gibibytes(4), free: .gibibytes(4), available: .gibibytes(4),
        hugePages: [.init(size: .mebibytes(2), total: PageCount(pages), free: PageCount(pages))],
        processors: [], usableProcessors: [], distances: [], isAllowed: true)
    }
    return host
  }

  @Test func hugePagesAreReservedOnTheNodesThatLackThem() throws {
    func shares(_ nodes: [UInt32], _ memory: ByteCount) throws -> [String: UInt64] {
      let plan = try WirePlan(
        twoNodes, memory: memory, backing: .hugetlb2M,
        nodes: HostNodes(nodes.map { NodeID($0) }), reserve: true)
      #expect(plan.missing?.pages == plan.shares.reduce(.zero) { $0 + $1.pages })
      return Dictionary(
        uniqueKeysWithValues: plan.shares.map { ($0.pool.path, $0.pages.rawValue) })
    }
    func path(_ node: Int) -> String {
      "/sys/devices/system/node/node\(node)/hugepages/hugepages-2048kB/nr_hugepages"
    }
    #expect(try shares([1], .mebibytes(400)) == [path(1): 100])
    #expect(try shares([0], .mebibytes(400)) == [path(0): 200])
    #expect(try shares([0, 1], .mebibytes(400)) == [path(0): 100, path(1): 0])
  }

  @Test func theDefaultSizeIsHalfOfTheNode() throws {
    let plan = try WirePlan(
      twoNodes, memory: nil, backing: .base, nodes: .bind(NodeID(1)), reserve: false)
    #expect(plan.memory == .mebibytes(2016) && plan.nodes == .bind(NodeID(1)))
    #expect(throws: HoldfastError.self) {
      try WirePlan(twoNodes, memory: nil, backing: .base, nodes: .bind(NodeID(2)), reserve: false)
    }
  }

  @Test func listsOfNodes() throws {
    func nodes(_ text: String) throws -> [UInt32] { try NodeList(text).nodes.map(\.rawValue) }
    #expect(try nodes("1") == [1] && nodes("0,2") == [0, 2] && nodes("3-5,0") == [3, 4, 5, 0])
    for text in ["", ",", "1,", "a", "+1", "1-2-3", "-", "0-1024", "4294967296", " 1", "1.5"] {
      #expect(throws: Size.Problem.self, "\(text)") { try NodeList(text) }
    }
  }
}
