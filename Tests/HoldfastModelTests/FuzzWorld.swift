import HoldfastCore
import HoldfastTestKit

/// One operation on two spaces that share an object. Ranges are pages of the space.
enum FuzzStep {
  case map(space: Int, Range<UInt64>, offset: UInt64?, Protection)
  case protect(space: Int, Range<UInt64>, Protection)
  case write(space: Int, page: UInt64, UInt8, free: UInt64?)
  case fault(space: Int, page: UInt64, Protection, free: UInt64?)
  case wire(space: Int, Range<UInt64>, WireOptions, free: UInt64?, pmapFails: Bool)
  case unwire(space: Int, Range<UInt64>, WireOptions)
  case remove(space: Int, Range<UInt64>)
  /// Holds pages; ends one of the holds; writes to a held page as a device does, by its frame.
  case hold(space: Int, Range<UInt64>, Protection, free: UInt64?)
  case release(Int)
  case device(Int, page: Int, UInt8)
}

extension FuzzStep {
  /// Whether the step makes a resource scarce.
  var hasShortage: Bool {
    switch self {
    case .write(_, _, _, let free), .fault(_, _, _, let free), .hold(_, _, _, let free):
      free != nil
    case .wire(_, _, _, let free, let pmapFails): free != nil || pmapFails
    default: false
    }
  }
}

/// The sizes of the machine, the object and the spaces.
struct FuzzSize {
  /// The shared object's pages. The pages of a space from 0 on map them, at any offset.
  var shared: UInt64
  /// Where the addresses of anonymous memory begin, and end.
  var anonymous: Range<UInt64>
  var frames: UInt64
  var limit: UInt64

  static let small = FuzzSize(shared: 24, anonymous: 64..<84, frames: 96, limit: 50)
  static let superpages = FuzzSize(
    shared: 1324, anonymous: 1 << 12..<(1 << 12) + 900, frames: 4096, limit: 2000)
}

/// The outcome of a step.
struct FuzzOutcome: Equatable {
  var code: HoldfastError.Code?
  var address: Address?
  var wired = PageCount.zero
  var resident = PageCount.zero
  /// Whether a pmap refused a mapping at first.
  var wasRefused = false
}

/// A machine that does the steps by one of the paths.
final class FuzzWorld {
  /// Where in its page a step writes.
  static let inset = ByteCount(17)

  let path: WirePath
  let size: FuzzSize
  let machine: Machine
  let object: MemoryObject
  let spaces: [(space: AddressSpace, pmap: CheckingPmap)]
  let mappingLimit = MappingLimit()
  /// The holds, with the frames of their pages.
  private var holds: [(pages: HeldPages, frames: [Frame])] = []

  init(_ path: WirePath, _ size: FuzzSize, dirty: Bool) {
    self.path = path
    self.size = size
    machine = Machine(
      frames: size.frames, dirty: dirty,
      wiredLimit: WiredLimit(Geometry.small.bytes(PageCount(size.limit))))
    object = MemoryObject(memory: machine.memory, size: PageCount(size.shared))
    let (machine, mappingLimit) = (machine, mappingLimit)
    spaces = (0..<2).map { _ in machine.makeSpace(mappingLimit: mappingLimit) }
  }

  /// Does a step, first while there is room for only some more mappings.
  ///
  /// - Returns: the outcome, and what a step that was refused has changed. Then it is done again
  ///   without the limit.
  func perform(_ step: FuzzStep, mappings: Int?) -> (FuzzOutcome, problem: String?) {
    guard let mappings else { return (perform(step), nil) }
    let (before, refusals) = (snapshot(), mappingLimit.refusals)
    mappingLimit.allow(mappings)
    let first = perform(step)
    mappingLimit.allow(nil)
    guard mappingLimit.refusals != refusals, first.code == .resourceShortage else {
      return (first, nil)
    }
    let after = snapshot()
    // What a fault or a wire has made resident may stay.
    guard after.entries == before.entries, after.charged == before.charged else {
      return (first, "\(path): a step that was refused leaves \(after) of \(before)")
    }
    if let problem = problems().first { return (first, "\(path), refused: \(problem)") }
    var second = perform(step)
    second.wasRefused = true
    return (second, nil)
  }

  private func perform(_ step: FuzzStep) -> FuzzOutcome {
    var outcome = FuzzOutcome()
    for (_, pmap) in spaces { pmap.endOperation() }
    do {
      switch step {
      case .map(let index, let pages, let offset, let protection):
        try spaces[index].space.map(
          offset == nil ? nil : object, offset: PageIndex(offset ?? 0), at: machine.range(pages),
          protection: protection)
      case .protect(let index, let pages, let protection):
        try spaces[index].space.protect(machine.range(pages), protection)
      case .write(let index, let page, let byte, let free):
        try machine.withFree(free ?? .max) {
          try spaces[index].space.write([byte], at: machine.address(page) + FuzzWorld.inset)
        }
      case .fault(let index, let page, let access, let free):
        try machine.withFree(free ?? .max) {
          try spaces[index].space.fault(machine.address(page), access)
        }
      case .wire(let index, let pages, let options, let free, let pmapFails):
        if pmapFails { spaces[index].pmap.fail(at: 0) }
        defer { spaces[index].pmap.fail(at: nil) }
        let summary = try machine.withFree(free ?? .max) {
          try spaces[index].space.wire(machine.range(pages), options.union(path.options))
        }
        outcome.wired = summary.wiredPages
        outcome.resident = summary.residentBefore
      case .unwire(let index, let pages, let options):
        try spaces[index].space.unwire(machine.range(pages), options)
      case .remove(let index, let pages):
        try spaces[index].space.remove(machine.range(pages))
      case .hold(let index, let pages, let access, let free):
        try machine.withFree(free ?? .max) { try hold(spaces[index].space, pages, access) }
      case .release(let number): holds.remove(at: number).pages.release()
      case .device(let number, let page, let byte):
        let bytes = [byte]
        machine.store.write(
          bytes.span.bytes, to: holds[number].frames[page], offset: FuzzWorld.inset)
      }
    } catch {
      let error = error as! HoldfastError
      outcome.code = error.code
      outcome.address = error.address
    }
    return outcome
  }

  private func hold(_ space: AddressSpace, _ pages: Range<UInt64>, _ access: Protection) throws {
    let held = try space.hold(machine.range(pages), for: access)
    var frames: [Frame] = []
    space.forEachResident(in: machine.range(pages)) { _, run, _ in
      frames += (0..<run.count.rawValue).map { run.start + PageCount($0) }
    }
    holds.append((held, frames))
  }

  /// The bytes that a device finds in the pages of each hold.
  func heldBytes() -> [[UInt8]] {
    holds.map { $0.frames.map { machine.store.byte($0, FuzzWorld.inset) } }
  }

  func releaseHolds() {
    for hold in holds { hold.pages.release() }
    holds = []
  }

  func snapshot() -> Snapshot {
    machine.snapshot(of: spaces.map(\.space), sharing: [object], frames: false)
  }

  /// The broken invariants.
  func problems() -> [String] {
    let area = SharedArea(machine.range(0..<size.anonymous.lowerBound), object)
    return spaces.flatMap { machine.problems(in: $0.space, $0.pmap, sharing: [area]) }
  }

  /// The wire count that each page of the object must have according to the map entries.
  func wireCounts() -> [UInt16] {
    var counts = [UInt16](repeating: 0, count: Int(size.shared))
    for (space, _) in spaces {
      for entry in space.entryViews where entry.isUserWired || entry.systemWirings > 0 {
        guard entry.range.end <= machine.address(size.anonymous.lowerBound) else { continue }
        let start = Int(entry.offset!.rawValue)
        for page in start..<start + Int(machine.geometry.pages(in: entry.range.length).rawValue) {
          counts[page] += 1
        }
      }
    }
    return counts
  }

  /// The byte that a read finds in a page, or the error.
  func read(_ space: Int, _ page: UInt64) -> Result<UInt8, HoldfastError> {
    do {
      return .success(
        try spaces[space].space.read(machine.address(page) + FuzzWorld.inset, count: 1)[0])
    } catch {
      return .failure(error)
    }
  }

  /// The byte that the guest finds there by its translation, if it has one.
  func touch(_ space: Int, _ page: UInt64) -> UInt8? {
    var byte: UInt8?
    let address = machine.address(page)
    _ = spaces[space].pmap.touch(address) { mapping in
      byte = machine.store.byte(
        mapping.frames.start + machine.geometry.pages(in: address - mapping.address),
        FuzzWorld.inset)
    }
    return byte
  }
}
