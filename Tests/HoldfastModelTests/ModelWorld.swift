import HoldfastCore
import HoldfastTestKit

/// The machine that does the model's steps.
final class ModelWorld {
  static let limit = 40
  static let mostSpaces = 5
  static let inset = ByteCount(33)
  /// Superpages of 2 MiB only, so that few pages are enough to pass the largest.
  static let geometry = Geometry(shift: 12, levels: 1)
  private static let coarse = Geometry(shift: 19, levels: 1)
  /// The pages at which addresses and objects begin, each at another distance from the next
  /// superpage: so a page seldom has the same index in an object as in the object above or as an
  /// address. If the test is for reservations, the shared object's superpages are those of the
  /// addresses.
  let origin: UInt64
  let sharedOrigin: UInt64
  let imageOrigin: UInt64 = 3 * 512 - 17

  let machine: Machine
  /// The path of all wirings, or nil for the path of each step.
  private let path: WirePath?
  let shared: MemoryObject
  let image: MemoryObject
  /// Memory of a pager that spaces map as it is, several times and at any address, and of which
  /// forks get copies.
  let segment: MemoryObject
  private let pager: TestPager
  private(set) var spaces: [(space: AddressSpace, pmap: CheckingPmap)]
  private(set) var model: PageModel
  /// The holds of the model, with the frames of the pages that are looked at.
  var holds: [(pages: HeldPages, frames: [Frame])] = []
  /// The limit of the mappings that all spaces make.
  let mappingLimit: MappingLimit?
  /// The number of the machine's pages for each page of the model. If it is large, the machine
  /// makes reservations.
  let scale: UInt64

  /// How many steps succeeded, and how many failed because a pmap refused a mapping.
  private(set) var outcomes = (done: 0, refused: 0)
  /// The error of the last step, or nil if it succeeded.
  private(set) var lastError: HoldfastError?

  /// - Parameters:
  ///   - domains: the frames are on three nodes, and each object has a policy.
  ///   - large: faults zero and copy large pages: four base pages of 512 KiB, or with a scale all
  ///     512 pages of a superpage.
  init(
    dirty: Bool, path: WirePath? = nil, scale: UInt64 = 1, domains: Bool = false,
    large: Bool = false, mappingLimit: MappingLimit? = nil
  ) {
    self.path = path
    self.mappingLimit = mappingLimit
    self.scale = scale
    let geometry = large && scale == 1 ? Self.coarse : Self.geometry
    machine = Machine(
      geometry: geometry, frames: 768 * scale, dirty: dirty,
      wiredLimit: WiredLimit(geometry.bytes(PageCount(UInt64(ModelWorld.limit) * scale))),
      domains: domains ? [100 * scale, 540 * scale, 128 * scale] : [],
      faultGranularity: large ? .largePage : .basePage)
    origin = scale == 1 ? 512 - 12 : 512
    sharedOrigin = scale == 1 ? 2 * 512 - 7 : 2 * 512
    let size = ModelStep.pages * scale
    shared = MemoryObject(
      memory: machine.memory.withPolicy(.roundRobin), size: PageCount(sharedOrigin + size))
    pager = TestPager(from: imageOrigin, pages: size, geometry: machine.geometry)
    image = MemoryObject(
      memory: machine.memory.withPolicy(.prefer(NodeID(2))), size: PageCount(imageOrigin + size),
      pager: pager)
    segment = MemoryObject(
      memory: machine.memory, size: PageCount(sharedOrigin + ModelStep.segmentPages * scale),
      pager: TestPager(
        from: sharedOrigin, pages: ModelStep.segmentPages * scale, geometry: machine.geometry))
    spaces = [machine.makeSpace(mappingLimit: mappingLimit)]
    model = PageModel(limit: ModelWorld.limit, mapsAnywhere: scale == 1) { page in
      UInt8(truncatingIfNeeded: page * scale + ModelWorld.probe(page, scale) + 1)
    }
  }

  /// How many pages of the machine the model's are.
  var pages: Int { Int(ModelStep.pages * scale) }

  /// The page of a model page whose contents are compared.
  private static func probe(_ page: UInt64, _ scale: UInt64) -> UInt64 { page * 13 % scale }

  func address(_ page: UInt64) -> Address {
    machine.address(origin + page * scale + ModelWorld.probe(page, scale)) + ModelWorld.inset
  }

  /// All objects. A fork may have moved a pager to an object below.
  private var objects: [MemoryObject] {
    var objects: [ObjectIdentifier: MemoryObject] = [:]
    for object in image.chain + segment.chain { objects[ObjectIdentifier(object)] = object }
    for (space, _) in spaces { space.forEachObject { objects[ObjectIdentifier($0)] = $0 } }
    return Array(objects.values)
  }

  /// How many pages are resident.
  var residency: PageCount { objects.reduce(.zero) { $0 + $1.residentCount } }

  /// Pages in all that pagers have.
  func pageAllIn() throws {
    for object in objects {
      try object.pageInAll(PageRange(from: .zero, to: PageIndex(object.size.rawValue)))
    }
  }

  /// Does a step and returns what is wrong then.
  func perform(_ step: ModelStep) -> String? {
    let index = step.space % spaces.count
    lastError = nil
    guard model.isPossible(step, mostSpaces: ModelWorld.mostSpaces) else { return nil }
    let isAllowed = model.allows(step, index)
    let refusals = mappingLimit?.refusals
    for (_, pmap) in spaces { pmap.endOperation() }
    do {
      try withShortage(step.shortage, spaces[index].pmap) { try attempt(step, index) }
      guard isAllowed else { return "it succeeds and should not" }
      model.perform(step, index)
      outcomes.done += 1
    } catch let error as HoldfastError {
      lastError = error
      let isRefused = mappingLimit?.refusals != refusals && mayBeRefused(step)
      if isAllowed, !isShort(error, step, isRefused) { return "it fails: \(error)" }
      if isAllowed, isRefused { outcomes.refused += 1 }
    } catch {
      return "\(error)"
    }
    return problem() ?? holdProblem()
  }

  /// Whether a step may fail where there are too many mappings. The end of a space may not, nor an
  /// unmapping by a pmap that splits nothing for it.
  private func mayBeRefused(_ step: ModelStep) -> Bool {
    step.kind != .end && !(step.kind == .remove && mappingLimit?.kind == .removalsNeedNoRoom)
  }

  private func isShort(_ error: HoldfastError, _ step: ModelStep, _ isRefused: Bool) -> Bool {
    switch error.code {
    case .resourceShortage: isRefused || step.shortage != nil
    case .pagerFailure: step.shortage != nil
    default: false
    }
  }

  private func withShortage(
    _ shortage: ModelStep.Shortage?, _ pmap: CheckingPmap, _ body: () throws -> Void
  ) throws {
    defer {
      pmap.fail(at: nil)
      pager.fail(at: nil)
    }
    switch shortage {
    case .frames(let count): try machine.withFree(scale == 1 ? count : count * scale / 2, body)
    case .translations(let number):
      pmap.fail(at: number)
      try body()
    case .pager(let number):
      pager.fail(at: number)
      try body()
    case nil: try body()
    }
  }

  private func attempt(_ step: ModelStep, _ index: Int) throws {
    let (space, pmap) = spaces[index]
    let pages = step.kind == .hold ? step.heldPages : step.pages
    let range = machine.range(
      origin + pages.lowerBound * scale..<origin + pages.upperBound * scale)
    let offset = PageCount(step.pages.lowerBound * scale)
    let address = address(step.pages.lowerBound)
    switch step.kind {
    case .mapAnonymous:
      try space.map(at: range, protection: step.protection, inheritance: step.inheritance)
    case .mapShared:
      try space.map(
        shared, offset: PageIndex(sharedOrigin) + offset, at: range,
        protection: step.protection, inheritance: .share)
    case .mapImage:
      try space.map(
        image, offset: PageIndex(imageOrigin) + offset, at: range,
        protection: step.protection, inheritance: step.inheritance, copyOnWrite: true)
    case .mapSegment:
      // All pages of a superpage are not looked at, and which are depends on the address.
      let page = step.segmentPage(isAnywhere: scale == 1) * scale
      try space.map(
        segment, offset: PageIndex(sharedOrigin + page), at: range,
        protection: step.protection, inheritance: step.inheritance)
    case .write: try space.write([step.byte], at: address)
    case .touch: try touch(index, address, step.byte)
    case .peek:
      let page = machine.geometry.bytes(PageCount(UInt64(step.byte) % scale))
      try space.fault(range.start + page, .read)
    case .wire:
      var options = step.options
      if let path {
        options = options.subtracting([.prefault, .faultPath]).union(path.options)
      }
      try space.wire(range, options)
    case .unwire: try space.unwire(range, step.options)
    case .protect: try space.protect(range, step.protection)
    case .fork:
      let childPmap = CheckingPmap(geometry: machine.geometry, mappingLimit: mappingLimit)
      spaces.append((try space.fork(pmap: childPmap), childPmap))
    case .remove: try space.remove(range)
    case .end:
      try space.remove(space.bounds)
      if !pmap.mappings.isEmpty { throw Wrong("translations are left") }
      spaces.remove(at: index)
    case .collapse: space.object(at: address)?.collapse(waits: true)
    case .compact: machine.memory.compact()
    case .hold: try hold(step, space, range)
    case .release: holds.remove(at: Int(step.byte) % holds.count).pages.release()
    case .device: writeAsDevice(step)
    }
  }

  struct Wrong: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
  }

  /// The guest writes: by its translation, or after a fault where that is missing or read-only.
  private func touch(_ index: Int, _ address: Address, _ byte: UInt8) throws {
    let (space, pmap) = spaces[index]
    for attempt in 0..<2 {
      var isDone = false
      _ = pmap.touch(address) { mapping in
        guard mapping.protection.contains(.write) else { return }
        let offset = address - mapping.address
        let frame = mapping.frames.start + machine.geometry.pages(in: offset)
        let bytes = [byte]
        machine.store.write(bytes.span.bytes, to: frame, offset: ModelWorld.inset)
        isDone = true
      }
      if isDone { return }
      if attempt == 1 { throw Wrong("a write faults after its fault") }
      try space.fault(address, .write)
    }
  }
}
