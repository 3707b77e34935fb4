import Foundation
import Glibc
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Memory of a NUMA node, which remains that node's through leases. `make numa-guest` tests hosts
/// with several nodes.
@Suite(.enabled(if: aNode != nil, "needs a host that lists its NUMA nodes"))
struct NodeTests {
  private let size = ByteCount.mebibytes(4)
}

extension NodeTests {
  private func nodeReservoir(_ place: Place) throws -> (Reservoir, NodeID) {
    let node = try #require(aNode)
    let reservoir = try place.reservoir()
    _ = try reservoir.fill(FillPlan([.init(count: 1, size: size)], node: node))
    return (reservoir, node)
  }

  @Test func recycledMemoryKeepsItsNode() throws {
    let place = try Place()
    let (reservoir, node) = try nodeReservoir(place)
    for isHeld in [false, true] {
      var lease: Lease? = try isHeld ? reservoir.held(size, "vm") : reservoir.lease(size, "vm")
      let path = try #require(lease?.receipt.path)
      #expect(path.hasSuffix("/vm@\(node.rawValue)" + (isHeld ? ".run" : "")))
      let status = try reservoir.status()
      #expect(status.rows.map(\.node) == [node] && status.rows[0].leased == 1)
      #expect(status.leases.map(\.name) == ["vm"] && status.leases.map(\.node) == [node])
      do {
        let mapping = try Mapping(path)
        mapping.dirty()
        // Pages that a monitor returned to the host are populated again.
        #expect(madvise(mapping.start, 2 << 20, MADV_REMOVE) == 0)
        withExtendedLifetime(mapping) {}
      }
      lease = nil
      if isHeld {
        #expect(try reservoir.collect(CollectOptions(reuse: .scrub)).recycled == 1)
      } else {
        #expect(
          try reservoir.recycle(LeaseName("vm"), options: RecycleOptions(reuse: .scrub))
            == .recycled(size))
      }
      let name = try #require(place.names("ready").first)
      #expect(name.hasPrefix("4M@\(node.rawValue)-"))
      #expect(try Mapping(place.file("ready/" + name)).isZero)
    }
    // Therefore the level of the node is full.
    let plan = FillPlan([.init(count: 1, size: size)], node: node)
    #expect(try reservoir.fill(plan).made.isEmpty)
  }

  @Test func recycledMemoryOfAnotherNodeLosesItsNode() throws {
    let place = try Place()
    let (reservoir, node) = try nodeReservoir(place)
    let path = try reservoir.lease(size, "vm").receipt.path
    // As if the kernel had moved its pages.
    let other = path.replacing("@\(node.rawValue)", with: "@1023")
    try #require(rename(path, other) == 0)
    #expect(
      try reservoir.recycle(LeaseName("vm"), options: RecycleOptions(reuse: .scrub))
        == .recycled(size))
    #expect(try #require(place.names("ready").first).hasPrefix("4M-"))
  }

  /// Node 901 cannot exist: the kernel refuses to bind memory to it, as a filter does.
  @Test func memoryThatDoesNotLieOnTheNodeIsNotNamedAsTheNodes() throws {
    let place = try Place()
    let reservoir = try place.reservoir()
    let host = HostProbe().host()
    let work = Reservoir.FillWork(
      filling: try reservoir.openFilling(""), nodes: .bind(NodeID(901)), host: host, threads: 2,
      operation: "fill", cancellation: CancellationToken())
    let error = try #require(throws: HoldfastError.self) {
      try reservoir.makeReady(size, work) { _ in }
    }
    #expect(
      error.reason.hasPrefix(
        "the memory came from another node, and node 901 cannot be bound: mbind(2) failed ("))
    #expect(place.names("ready").isEmpty && place.names("filling").isEmpty)
  }

  @Test func aNameIsUniqueAcrossNodes() throws {
    let place = try Place()
    let (reservoir, node) = try nodeReservoir(place)
    try reservoir.fill([size, size, size])
    var request = LeaseRequest(size: size, name: try LeaseName("vm"))
    request.node = node
    _ = try reservoir.lease(request)
    #expect(code { _ = try reservoir.lease(size, "vm") } == .alreadyExists)
    #expect(code { _ = try reservoir.held(size, "vm") } == .alreadyExists)
    #expect(try reservoir.release(LeaseName("vm")) == .released(size, reason: nil))
    #expect(try reservoir.lease(size, "vm").receipt.node == nil)
    #expect(code { _ = try reservoir.lease(request) } == .alreadyExists)
  }

  /// The files of these leases have different names: with and without a node, plain and held.
  @Test func concurrentLeasesOfOneName() throws {
    for _ in 0..<20 {
      let place = try Place()
      let (reservoir, _) = try nodeReservoir(place)
      try reservoir.fill([size, size, size])
      let held = Leases()
      let errors = inParallel(4) { number in
        var request = LeaseRequest(size: size, name: try LeaseName("vm"))
        request.isHeld = number % 2 == 0
        if number < 2 { request.node = aNode }
        held.add(try reservoir.lease(request))
      }
      #expect(errors.count { $0 == nil } == 1)
      for error in errors.compactMap({ $0 as? HoldfastError }) {
        #expect(error.code == .alreadyExists || error.code == .noReadyMemory, "\(error)")
      }
      #expect(place.names("leased/\(geteuid())").count == 1)
      #expect(place.names("ready").count == 3)
    }
  }

  private final class Leases: @unchecked Sendable {
    private let lock = NSLock()
    private var all: [Lease] = []
    func add(_ lease: Lease) { lock.withLock { all.append(lease) } }
  }
}

/// A node with memory.
private let aNode = HostProbe().host().memoryNodes.first?.id

struct LeaseFileTests {
  @Test func names() {
    for (text, name, node, isHeld) in [
      ("vm", "vm", nil, false), ("vm.run", "vm", nil, true), ("vm@1", "vm", 1, false),
      ("vm@12.run", "vm", 12, true),
    ] as [(String, String, UInt32?, Bool)] {
      let file = LeaseFile(text)
      #expect(file?.name.text == name && file?.isHeld == isHeld && file?.text == text, "\(text)")
      #expect(file?.node == node.map { NodeID($0) }, "\(text)")
    }
    for text in [
      "", "@1", "vm@", "vm@x", "vm@01", "vm@+1", "vm@-1", "vm@1@1", "vm@4294967296", "vm.run.run",
      ".run", "vm.run@1", "vm@.run", "vm 1", "vm@1 ", "vm@1024", "vm@4294967290.run",
    ] {
      #expect(LeaseFile(text) == nil, "\(text)")
    }
  }
}
