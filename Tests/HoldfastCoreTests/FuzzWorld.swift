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
}

/// A machine that does the steps by one of the paths.
struct FuzzWorld {
  /// Where in its page a step writes.
  static let inset = ByteCount(17)

  let path: WirePath
  let size: FuzzSize
  let machine: Machine
  let object: MemoryObject
  let spaces: [(space: AddressSpace, pmap: CheckingPmap)]

  init(_ path: WirePath, _ size: FuzzSize, dirty: Bool) {
    self.path = path
    self.size = size
    machine = Machine(
      frames: size.frames, dirty: dirty,
      wiredLimit: WiredLimit(Geometry.small.bytes(PageCount(size.limit))))
    object = MemoryObject(memory: machine.memory, size: PageCount(size.shared))
    spaces = [machine.makeSpace(), machine.makeSpace()]
  }

  func perform(_ step: FuzzStep) -> FuzzOutcome {
    var outcome = FuzzOutcome()
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
      }
    } catch {
      let error = error as! HoldfastError
      outcome.code = error.code
      outcome.address = error.address
    }
    return outcome
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

/// The contents that the guests must find, by a model without objects and frames.
struct FuzzContents {
  private enum Place {
    case shared(Int)
    case anonymous
  }

  private let size: FuzzSize
  private var shared: [UInt8]
  private var anonymous: [[UInt8]]
  private var places: [[UInt64: Place]] = [[:], [:]]

  init(_ size: FuzzSize) {
    self.size = size
    shared = Array(repeating: 0, count: Int(size.shared))
    anonymous = [[], []].map { _ in Array(repeating: 0, count: size.anonymous.count) }
  }

  /// The byte of a page, or nil where nothing is mapped.
  func byte(_ space: Int, _ page: UInt64) -> UInt8? {
    switch places[space][page] {
    case .shared(let index): shared[index]
    case .anonymous: anonymous[space][Int(page - size.anonymous.lowerBound)]
    case nil: nil
    }
  }

  /// The step succeeded.
  mutating func perform(_ step: FuzzStep) {
    switch step {
    case .map(let space, let pages, let offset, _):
      for page in pages {
        places[space][page] =
          offset.map { .shared(Int($0 + page - pages.lowerBound)) } ?? .anonymous
      }
    case .write(let space, let page, let byte, _):
      switch places[space][page] {
      case .shared(let index): shared[index] = byte
      case .anonymous: anonymous[space][Int(page - size.anonymous.lowerBound)] = byte
      case nil: break
      }
    case .remove(let space, let pages):
      for page in pages {
        if case .anonymous = places[space][page] {
          anonymous[space][Int(page - size.anonymous.lowerBound)] = 0
        }
        places[space][page] = nil
      }
    default: break
    }
  }
}
