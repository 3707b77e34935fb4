import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// A node with memory.
private let aNode = HostProbe().host().memoryNodes.first?.id.rawValue

extension FieldTests {
  /// Containers without CAP_SYS_NICE may not bind memory to NUMA nodes, and some filters refuse all
  /// system calls of nodes and affinity.
  @Suite(
    .enabled(if: Situation.canMake("--deny", "mbind=EPERM"), Situation.comment),
    .enabled(if: aNode != nil, "needs a host that lists its NUMA nodes"))
  struct FilteredNodes {
    private static let filters = [
      ["mbind=EPERM"], ["mbind=ENOSYS"], ["mbind=EPERM", "move_pages=EPERM"],
      ["mbind=ENOSYS", "sched_setaffinity=EPERM"],
      ["mbind", "set_mempolicy", "get_mempolicy", "move_pages", "sched_setaffinity"].map {
        $0 + "=EPERM"
      },
    ]

    private func options(_ filter: [String]) -> [String] { filter.flatMap { ["--deny", $0] } }

    /// The sizes and nodes of the ready files: `4M@0`.
    private func ready(_ place: ReservoirPlace) -> [String] {
      place.names("ready").map { String($0.prefix { $0 != "-" }) }
    }

    @Test(arguments: filters)
    func `a fill of a node takes memory of the node`(filter: [String]) throws {
      let place = try ReservoirPlace()
      let node = try #require(aNode)
      let words = ["reservoir", "fill", "2x4M", "--host-numa-node", "\(node)"]
      let outcome = try Situation.run(options(filter), place.arguments(words))
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(ready(place) == ["4M@\(node)", "4M@\(node)"])
    }

    @Test(
      .enabled(if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(8)), "needs huge pages"))
    func `a fill of huge pages of a node takes memory of the node`() throws {
      try HugePageLock.withLock {
        let place = try ReservoirPlace(fileSystem: "hugetlbfs", size: 8 << 20)
        let node = try #require(aNode)
        let words = ["reservoir", "fill", "1x8M", "--host-numa-node", "\(node)"]
        let outcome = try Situation.run(
          ["--deny", "mbind=EPERM"], place.arguments(words))
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
        #expect(ready(place) == ["8M@\(node)"])
      }
    }

    @Test(arguments: filters)
    func `a lease of a node grows on the node`(filter: [String]) throws {
      let place = try ReservoirPlace()
      let node = "\(try #require(aNode))"
      try place.get("reservoir", "fill", "1x4M", "--host-numa-node", node)
      let words = [
        "reservoir", "lease", "-m", "8M", "--grow", "--name", "vm", "--host-numa-node", node,
        "--format", "json",
      ]
      let outcome = try Situation.run(options(filter), place.arguments(words))
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      let receipt = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      #expect((receipt as? [String: Any])?["node"] as? Int == Int(node), "\(outcome)")
    }

    @Test(arguments: filters)
    func `the service fills the level of a node`(filter: [String]) throws {
      let served = try ServedPlace()
      let node = try #require(aNode)
      try served.configure("[level]\nfiles = 1x4M\nnode = \(node)")
      try served.start(command: Situation.command(options(filter)) + [HoldfastProgram.path])
      try served.until("filled") { served.ready == ["4M@\(node)"] }
      try served.send(SIGTERM)
      let outcome = try served.end()
      #expect(outcome.status == 0 && !outcome.error.contains("fail"), "\(outcome)")
    }

    @Test(arguments: filters)
    func `wired memory of a node names what binds it`(filter: [String]) throws {
      let words = ["wire", "-m", "8M", "--backing", "base", "--host-numa-node"]
      let outcome = try Situation.run(options(filter), words + ["\(try #require(aNode))"])
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      let hint = "a seccomp filter, as containers have, forbids it without CAP_SYS_NICE"
      #expect(outcome.output.contains("mbind(2) failed ("), "\(outcome)")
      #expect(outcome.output.contains(hint), "\(outcome)")
      #expect(outcome.output.contains("8 MiB on node"), "\(outcome)")
    }

    /// A window asks with move_pages(2) whether the kernel shared page tables, else with mincore(2).
    @Test(.enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages"))
    func `all of a GiB is in the page tables where its nodes are hidden`() throws {
      try HugePageLock.withLock {
        let words = [
          "wire", "-m", "1G", "--backing", "hugetlb-2M", "--reserve-hugepages", "--format", "json",
        ]
        let outcome = try Situation.run(["--deny", "move_pages=EPERM"], words)
        #expect(outcome.status == 0, "\(outcome)")
        let receipt = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
        let values = try #require(receipt as? [String: Any])
        #expect(values["verified"] as? Bool == true, "\(outcome)")
        #expect(values["presentBytes"] as? Int == 1 << 30, "\(outcome)")
      }
    }
  }
}
