import HoldfastCore
import HoldfastTestKit
import Testing

/// Objects and address spaces that have a policy for the nodes of their frames.
struct DomainObjectTests {
  /// Two nodes of 2,048 pages; the caller is always on node 0.
  private func machine(dirty: Bool = false) -> Machine {
    Machine(dirty: dirty, domains: [2048, 2048], local: { NodeID(0) })
  }

  /// The number of an object's pages on each node.
  private func nodes(_ machine: Machine, _ object: MemoryObject) -> [UInt32: UInt64] {
    var counts: [UInt32: UInt64] = [:]
    for run in machine.pages(of: object) {
      for page in 0..<run.range.count.rawValue {
        let node = machine.allocator.domain(of: run.frame! + PageCount(page)).node!
        counts[node.rawValue, default: 0] += 1
      }
    }
    return counts
  }

  @Test(arguments: WirePath.allCases)
  func `an object's pages come from its node, whatever the space prefers`(path: WirePath) throws {
    let machine = machine(dirty: path == .fault)
    let object = MemoryObject(
      memory: machine.memory.withPolicy(.only(NodeID(1))), size: PageCount(1500))
    defer { object.release() }
    let (space, pmap) = machine.makeSpace()
    try space.map(object, at: machine.range(0..<1500))
    try space.wire(machine.range(0..<1500), path.options.union([.user, .noHoles]))
    #expect(nodes(machine, object) == [1: 1500])
    try space.remove(space.bounds)
    #expect(pmap.violations == [])
  }

  @Test func `anonymous memory and children have the space's policy`() throws {
    let machine = machine()
    let (space, _) = machine.makeSpace(policy: .only(NodeID(1)))
    try space.map(at: machine.range(0..<8))
    try space.write([1], at: machine.address(3))
    let child = try space.fork(pmap: CheckingPmap(geometry: machine.geometry))
    // Both write: a copy of a page that is shared, and new ones.
    try child.write([2], at: machine.address(3))
    try child.write([2], at: machine.address(5))
    try space.write([3], at: machine.address(3))
    #expect(machine.allocator.domains[0].occupancy.free == PageCount(2048))
    #expect(machine.allocator.domains[1].occupancy.free < PageCount(2048 - 2))
    try child.remove(child.bounds)
    try space.remove(space.bounds)
    #expect(machine.allocator.occupancy.free == PageCount(4096))
  }

  @Test func `pages made one by one do not use the next node's frames`() throws {
    let machine = Machine(domains: [10, 2038], local: { NodeID(0) })
    let (space, _) = machine.makeSpace(policy: .only(NodeID(0)))
    try space.map(at: machine.range(0..<64))
    for page in 0..<UInt64(10) { try space.write([7], at: machine.address(page)) }
    let error = #expect(throws: HoldfastError.self) {
      try space.write([7], at: machine.address(10))
    }
    #expect(error?.code == .resourceShortage)
    #expect(machine.allocator.domains.map(\.occupancy.free.rawValue) == [0, 2038])
    try space.remove(space.bounds)
  }

  @Test(arguments: WirePath.allCases)
  func `a node that runs out fails the wire and changes nothing`(path: WirePath) throws {
    let machine = machine()
    let (space, pmap) = machine.makeSpace(policy: .only(NodeID(1)))
    try space.map(at: machine.range(0..<2049))
    let error = #expect(throws: HoldfastError.self) {
      try space.wire(machine.range(0..<2049), path.options.union([.user, .noHoles]))
    }
    #expect(error?.code == .resourceShortage)
    #expect(machine.allocator.occupancy.free == PageCount(4096) && pmap.mappings.isEmpty)
    // The same succeeds if other nodes may provide frames.
    let (open, _) = machine.makeSpace(policy: .prefer(NodeID(1)))
    try open.map(at: machine.range(0..<2049))
    try open.wire(machine.range(0..<2049), path.options.union([.user, .noHoles]))
    #expect(machine.allocator.domains.map(\.occupancy.free.rawValue) == [2047, 0])
    try open.remove(open.bounds)
  }

  @Test func `round robin spreads a guest over the nodes`() throws {
    let machine = machine()
    let object = MemoryObject(
      memory: machine.memory.withPolicy(.roundRobin), size: PageCount(2048))
    defer { object.release() }
    let (space, _) = machine.makeSpace()
    try space.map(object, at: machine.range(0..<2048))
    try space.wire(machine.range(0..<2048), [.user, .noHoles])
    #expect(nodes(machine, object) == [0: 1024, 1: 1024])
    try space.remove(space.bounds)
  }

  @Test func `all free frames are prepared, whatever the policy`() {
    let machine = machine()
    machine.memory.withPolicy(.only(NodeID(1))).forgetZeroedFrames()
    #expect(machine.allocator.occupancy.zeroed == .zero)
    machine.memory.withPolicy(.only(NodeID(0))).zeroFreeFrames()
    #expect(machine.allocator.occupancy.zeroed == PageCount(4096))
  }
}
