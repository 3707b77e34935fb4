import Foundation
import HoldfastCore
import Testing

@testable import HoldfastLinux

// Foundation has a class of the same name.

/// Nodes of made-up hosts.
struct HostNodesTests {
  private func host(
    online: String, allowed: String? = nil, usable: [UInt32]? = [0, 1, 2, 3],
    _ nodes: [(id: Int, kibibytes: UInt64, processors: String, distances: String)]
  ) throws -> HostCapabilities {
    let tree = try HostTree(HostTree.pool(2048, total: 0, free: 0))
    try tree.write(online + "\n", to: "sys/devices/system/node/online")
    if let allowed { try tree.write("Mems_allowed_list:\t\(allowed)\n", to: "proc/self/status") }
    for node in nodes {
      try tree.addNode(
        node.id, kibibytes: node.kibibytes, free: node.kibibytes / 2, processors: node.processors,
        distances: node.distances, hugePages: node.id)
    }
    var system = HostSystem.permissive
    system.usableProcessors = { usable }
    return HostProbe(root: tree.root, system: system).host()
  }

  private func lines(_ host: HostCapabilities) -> [Substring] {
    HostReport.text(host).split(separator: "\n").drop { !$0.hasPrefix("NUMA nodes") }
      .prefix(host.nodes.count).map { $0.drop { !$0.isNumber } }
  }

  @Test func `two nodes`() throws {
    let host = try host(
      online: "0-1", [(0, 1 << 20, "0-1", "10 21"), (1, 2 << 20, "2-3", "21 10")])
    #expect(host.nodes.map(\.processors) == [[0, 1], [2, 3]])
    #expect(host.nodes.map(\.usableProcessors) == [[0, 1], [2, 3]])
    #expect(host.nodes.map(\.available) == [.mebibytes(512), .gibibytes(1)])
    #expect(host.memoryNodes == host.nodes)
    #expect(host.nodeDistances[NodeID(0)] == [NodeID(0): 10, NodeID(1): 21])
    #expect(host.node(NodeID(1))?.total == .gibibytes(2) && host.node(NodeID(2)) == nil)
    #expect(
      lines(host) == [
        "0: 1 GiB, 512 MiB free, 0 free pages of 2 MiB, processors 0-1, distances 10 21",
        "1: 2 GiB, 1 GiB free, 1 free page of 2 MiB, processors 2-3, distances 21 10",
      ])
  }

  @Test func `four nodes whose numbers are not consecutive`() throws {
    let host = try host(
      online: "0,2-3,7",
      [
        (0, 1 << 20, "0", "10 16 32 33"), (2, 1 << 20, "1", "16 10 25 25"),
        (3, 1 << 20, "2", "32 25 10 14"), (7, 1 << 20, "3", "33 25 14 10"),
      ])
    #expect(host.nodes.map(\.id.rawValue) == [0, 2, 3, 7])
    #expect(host.nodeDistances[NodeID(7)]?[NodeID(3)] == 14)
    #expect(host.nodeDistances[NodeID(2)]?[NodeID(7)] == 25)
  }

  @Test func `nodes without memory or processors`() throws {
    let host = try host(
      online: "0-2",
      [(0, 0, "0-3", "10 20 40"), (1, 1 << 20, "8-9", "20 10 40"), (2, 4 << 20, "", "40 40 10")])
    #expect(host.memoryNodes.map(\.id.rawValue) == [1, 2])
    #expect(host.nodes[2].processors.isEmpty && host.nodes[1].usableProcessors.isEmpty)
    #expect(
      lines(host) == [
        "0: no memory, processors 0-3, distances 10 20 40",
        "1: 1 GiB, 512 MiB free, 1 free page of 2 MiB, processors 8-9, none usable, distances 20 10 40",
        "2: 4 GiB, 2 GiB free, 2 free pages of 2 MiB, no processors, distances 40 40 10",
      ])
  }

  @Test func `cpusets exclude nodes`() throws {
    let host = try host(
      online: "0-1", allowed: "1", usable: [1, 2],
      [(0, 1 << 20, "0-1", "10 20"), (1, 1 << 20, "2-3", "20 10")])
    #expect(host.memoryNodes.map(\.id.rawValue) == [1])
    #expect(host.nodes.map(\.usableProcessors) == [[1], [2]])
    #expect(lines(host)[0].hasSuffix("usable 1, distances 10 20, excluded by the cpuset"))
  }

  @Test func `distances are complete or unknown`() throws {
    for distances in ["10", "10 20 30", "10 x", "10 -1", ""] {
      let host = try host(
        online: "0-1", [(0, 1, "0", distances), (1, 1, "1", "20 10")])
      #expect(host.nodes[0].distances.isEmpty && host.nodes[1].distances == [20, 10])
      #expect(host.nodeDistances[NodeID(0)] == nil)
    }
  }

  @Test func `half of the page cache counts as available`() throws {
    let tree = try HostTree([
      "sys/devices/system/node/online": "0",
      "sys/devices/system/node/node0/meminfo": """
      Node 0 MemTotal: 4000 kB
      Node 0 MemFree: 1000 kB
      Node 0 Active(file): 600 kB
      Node 0 Inactive(file): 200 kB
      Node 0 Inactive: 900 kB

      """,
    ])
    let host = HostProbe(root: tree.root, system: .permissive).host()
    #expect(host.nodes[0].available == .kibibytes(1400))
  }

  @Test func `this thread runs on processors of this host's nodes`() throws {
    let host = HostProbe().host()
    let affinity = try #require(Affinity.current)
    #expect(affinity.processors.count == host.processors.usable)
    guard !host.nodes.isEmpty else { return }
    #expect(Set(host.nodes.flatMap(\.usableProcessors)) == Set(affinity.processors))
    #expect(!host.memoryNodes.isEmpty)
    #expect(host.nodes.allSatisfy { $0.distances.count == host.nodes.count })
  }

  @Test func `lists are in the kernel's notation`() {
    #expect(HostReport.list([]) == "" && HostReport.list([3]) == "3")
    #expect(HostReport.list([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8")
    #expect(HostParsers.numbers("7-8,0-2,1,5,9999,3-1") == [0, 1, 2, 5, 7, 8])
  }
}
