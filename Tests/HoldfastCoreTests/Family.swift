import HoldfastCore
import HoldfastTestKit
import Testing

/// A parent's space and those of its children, on one machine.
final class Family {
  let machine: Machine
  private(set) var spaces: [AddressSpace] = []
  private(set) var pmaps: [CheckingPmap] = []
  private(set) var living: [Int] = []
  /// Objects that the test has a reference to.
  var handles: [MemoryObject] = []

  init(_ machine: Machine) {
    self.machine = machine
    let (space, pmap) = machine.makeSpace()
    add(space, pmap)
  }

  /// Creates a family with anonymous memory in the parent.
  convenience init(pages: Range<UInt64>, frames: UInt64) throws {
    self.init(Machine(frames: frames, dirty: true, wiredLimit: WiredLimit(.tebibytes(1))))
    try spaces[0].map(at: machine.range(pages))
  }

  @discardableResult
  func add(_ space: AddressSpace, _ pmap: CheckingPmap) -> Int {
    spaces.append(space)
    pmaps.append(pmap)
    living.append(spaces.count - 1)
    return spaces.count - 1
  }

  /// Adds a space without mappings.
  func addSpace() -> Int {
    let (space, pmap) = machine.makeSpace()
    return add(space, pmap)
  }

  func fork(_ index: Int) throws -> Int {
    let pmap = CheckingPmap(geometry: machine.geometry)
    return add(try spaces[index].fork(pmap: pmap), pmap)
  }

  /// Removes all mappings of a space.
  func end(_ index: Int) throws {
    try spaces[index].remove(spaces[index].bounds)
    #expect(pmaps[index].mappings.isEmpty)
    living.removeAll { $0 == index }
  }

  /// Writes as the guest does: by a fault, then through the translation.
  func write(_ index: Int, _ page: UInt64, _ byte: UInt8) throws {
    let address = machine.address(page)
    try spaces[index].fault(address, .write)
    let touched = pmaps[index].touch(address) { mapping in
      #expect(mapping.protection.contains(.write))
      let frame = mapping.frames.start + machine.geometry.pages(in: address - mapping.address)
      let bytes = [byte]
      machine.store.write(bytes.span.bytes, to: frame, offset: ByteCount(9))
    }
    #expect(touched)
  }

  /// The byte that a read finds; it must be that of the guest's translation, if there is one.
  func byte(_ index: Int, _ page: UInt64) throws -> UInt8 {
    let address = machine.address(page)
    let byte = try spaces[index].read(address + ByteCount(9), count: 1)[0]
    _ = pmaps[index].touch(address) { mapping in
      let frame = mapping.frames.start + machine.geometry.pages(in: address - mapping.address)
      #expect(machine.store.byte(frame, ByteCount(9)) == byte)
    }
    return byte
  }

  var problems: [String] {
    pmaps.flatMap { $0.violations + ($0.hasOpenReach ? ["a reach is left open"] : []) }
      + machine.falselyZeroed.map { "\($0) is not zero" }
      + Invariants.problems(in: machine.memory, spaces: spaces, handles: handles)
  }

  /// Removes all mappings and expects that nothing is left.
  func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) throws {
    for index in living { try end(index) }
    for handle in handles { handle.release() }
    handles = []
    #expect(problems == [], sourceLocation: sourceLocation)
    let left = machine.allocator.occupancy
    #expect(left.free == left.total, sourceLocation: sourceLocation)
  }
}
