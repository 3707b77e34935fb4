import HoldfastCore
import HoldfastTestKit

/// The machine that does the model's steps.
final class ModelWorld {
  static let limit = 40
  static let mostSpaces = 5
  static let inset = ByteCount(33)
  /// Superpages of 2 MiB only, so that few pages are enough to pass the largest.
  static let geometry = Geometry(pageShift: 12, superpageLevels: 1)
  private static let coarse = Geometry(pageShift: 19, superpageLevels: 1)
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
  private let shared: MemoryObject
  private let image: MemoryObject
  /// Memory of a pager that spaces map as it is, several times and at any address, and of which
  /// forks get copies.
  private let segment: MemoryObject
  private let pager: TestPager
  private(set) var spaces: [(space: AddressSpace, pmap: CheckingPmap)]
  private(set) var model: PageModel
  /// The number of the machine's pages for each page of the model. If it is large, the machine
  /// makes reservations.
  private let scale: UInt64

  /// The error of the last step, or nil if it succeeded.
  private(set) var lastError: HoldfastError?

  /// - Parameters:
  ///   - domains: the frames are on three nodes, and each object has a policy.
  ///   - large: faults zero and copy large pages: four base pages of 512 KiB, or with a scale all
  ///     512 pages of a superpage.
  init(
    dirty: Bool, path: WirePath? = nil, scale: UInt64 = 1, domains: Bool = false,
    large: Bool = false
  ) {
    self.path = path
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
    spaces = [machine.makeSpace()]
    model = PageModel(limit: ModelWorld.limit, mapsAnywhere: scale == 1) { page in
      UInt8(truncatingIfNeeded: page * scale + ModelWorld.probe(page, scale) + 1)
    }
  }

  /// How many pages of the machine the model's are.
  var pages: Int { Int(ModelStep.pages * scale) }

  /// The page of a model page whose contents are compared.
  private static func probe(_ page: UInt64, _ scale: UInt64) -> UInt64 { page * 13 % scale }

  private func address(_ page: UInt64) -> Address {
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
      try object.pageInAll(PageRange(.zero, PageIndex(object.size.rawValue)))
    }
  }

  /// Does a step and returns what is wrong then.
  func perform(_ step: ModelStep) -> String? {
    let index = step.space % spaces.count
    lastError = nil
    if step.kind == .fork, spaces.count == ModelWorld.mostSpaces { return nil }
    if step.kind == .end, spaces.count == 1 { return nil }
    let isAllowed = model.allows(step, index)
    do {
      try withShortage(step.shortage, spaces[index].pmap) { try attempt(step, index) }
      guard isAllowed else { return "it succeeds and should not" }
      model.perform(step, index)
    } catch let error as HoldfastError {
      lastError = error
      let isShort = error.code == .resourceShortage || error.code == .pagerFailure
      if isAllowed, !(isShort && step.shortage != nil) { return "it fails: \(error)" }
    } catch {
      return "\(error)"
    }
    return problem()
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
    let range = machine.range(
      origin + step.pages.lowerBound * scale..<origin + step.pages.upperBound * scale)
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
      let childPmap = CheckingPmap(geometry: machine.geometry)
      spaces.append((try space.fork(pmap: childPmap), childPmap))
    case .remove: try space.remove(range)
    case .end:
      try space.remove(space.bounds)
      if !pmap.mappings.isEmpty { throw Wrong("translations are left") }
      spaces.remove(at: index)
    case .collapse: space.object(at: address)?.collapse(waits: true)
    case .compact: machine.memory.compact()
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

  /// The first difference between machine and model, or the first broken invariant.
  private func problem() -> String? {
    for (index, (space, pmap)) in spaces.enumerated() {
      if let violation = pmap.violations.first { return violation }
      if pmap.hasOpenReach { return "a reach is left open" }
      for page in 0..<ModelStep.pages {
        let problem = problem(space, pmap, page, model.spaces[index][page])
        if let problem { return "page \(page) of space \(index): \(problem)" }
      }
    }
    let problems = Invariants.problems(
      in: machine.memory, spaces: spaces.map(\.space), handles: [shared, image, segment])
    return problems.isEmpty ? nil : "\(problems.prefix(4))"
  }

  private func problem(
    _ space: AddressSpace, _ pmap: CheckingPmap, _ page: UInt64, _ expected: PageModel.Page?
  ) -> String? {
    let address = address(page)
    let view = space.lookup(address)
    guard let expected else { return view == nil ? nil : "it is mapped" }
    guard let view else { return "it is not mapped" }
    if view.protection != expected.protection { return "it is \(view.protection)" }
    if view.isUserWired != expected.isUserWired || view.systemWirings != expected.systemWirings {
      return "it is wired \(view.isUserWired), \(view.systemWirings)"
    }
    let byte = model.cells[expected.cell]
    var seen: UInt8?
    let isMapped = pmap.touch(address) { mapping in
      seen = machine.store.byte(
        mapping.frames.start + machine.geometry.pages(in: address - mapping.address),
        ModelWorld.inset)
    }
    if let seen, seen != byte { return "the guest finds \(seen), not \(byte)" }
    if view.isWired, !isMapped { return "it is wired and faults" }
    guard expected.protection.contains(.read) else { return nil }
    do {
      let read = try space.read(address, count: 1)[0]
      return read == byte ? nil : "a read finds \(read), not \(byte)"
    } catch {
      return "a read fails: \(error)"
    }
  }

  /// Removes all spaces and objects; returns what is left.
  func finish() -> String? {
    for (space, _) in spaces {
      do { try space.remove(space.bounds) } catch { return "\(error)" }
    }
    shared.release()
    image.release()
    segment.release()
    let garbage = machine.falselyZeroed
    if !garbage.isEmpty { return "free frames are not zero: \(garbage)" }
    let left = machine.allocator.occupancy
    let isClean = left.free == left.total && machine.wiredLimit.current == .zero
    return isClean ? nil : "at the end \(left) and \(machine.wiredLimit.current) charged"
  }
}
