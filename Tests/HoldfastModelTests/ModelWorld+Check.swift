import HoldfastCore
import HoldfastTestKit

/// What is compared with the model after each step, and at the end.
extension ModelWorld {
  /// The first difference between machine and model, or the first broken invariant.
  func problem() -> String? {
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
    var failure: String?
    for (space, _) in spaces {
      do { try space.remove(space.bounds) } catch { failure = "at the end \(error)" }
    }
    shared.release()
    image.release()
    segment.release()
    let problems = Invariants.problems(in: machine.memory, spaces: spaces.map(\.space))
    failure = failure ?? (contentsOfHolds() ?? problems.first).map { "at the end \($0)" }
    for hold in holds { hold.pages.release() }
    if let failure { return failure }
    if let count = mappingLimit?.count, count != 0 { return "at the end \(count) mappings" }
    let garbage = machine.falselyZeroed
    if !garbage.isEmpty { return "free frames are not zero: \(garbage)" }
    let left = machine.allocator.occupancy
    let isClean = left.free == left.total && machine.wiredLimit.current == .zero
    return isClean ? nil : "at the end \(left) and \(machine.wiredLimit.current) charged"
  }
}
