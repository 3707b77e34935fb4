import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviour 25: both paths leave the same state, after any operations before.
struct DifferentialFuzzTests {
  /// The most holds at a time.
  private static let mostHolds = 3

  private static func step(
    _ size: FuzzSize, _ holds: [[Int]], using random: inout SeededGenerator
  ) -> FuzzStep {
    func pick(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    let space = Int.random(in: 0..<2, using: &random)
    // Addresses of the shared object, of anonymous memory, or of both.
    let area: Range<UInt64> =
      switch Int.random(in: 0..<20, using: &random) {
      case 0: 0..<size.anonymous.upperBound
      case 1..<12: 0..<size.shared * 2
      default: size.anonymous
      }
    let first = UInt64.random(in: area, using: &random)
    let longest = min(area.upperBound - first, pick(30) ? 3 : area.upperBound)
    let pages = first..<first + UInt64.random(in: 0...longest, using: &random)
    let free: UInt64? =
      pick(20) ? UInt64.random(in: 0..<max(2, UInt64(pages.count)), using: &random) : nil
    let protection = [Protection.readWrite, .readWrite, .read, .all, .write, []]
      .randomElement(using: &random)!
    var options = WireOptions.user
    if pick(40) { options.insert(.system) }
    if pick(60) { options.insert(.holesOK) }
    if pick(12) {
      if holds.isEmpty || holds.count < mostHolds && pick(40) {
        let few = pages.prefix(Int.random(in: 1...8, using: &random))
        return .hold(space: space, few, pick(50) ? .read : .write, free: free)
      }
      let number = Int.random(in: 0..<holds.count, using: &random)
      if pick(40) || holds[number].isEmpty { return .release(number) }
      let page = Int.random(in: 0..<holds[number].count, using: &random)
      return .device(number, page: page, .random(in: 1...0x7F, using: &random))
    }
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<18:
      if first >= size.shared * 2 {
        let inside = pages.clamped(to: size.anonymous)
        return .map(space: space, inside, offset: nil, protection)
      }
      let count = min(UInt64(pages.count), size.shared, size.shared * 2 - first)
      let limit = min(size.shared - count, size.shared * 2 - count)
      let offset = pick(40) ? min(first, limit) : UInt64.random(in: 0...limit, using: &random)
      return .map(space: space, first..<first + count, offset: offset, protection)
    case 18..<26: return .protect(space: space, pages, protection)
    case 26..<40:
      return .write(
        space: space, page: first, .random(in: 1...0x7F, using: &random), free: free.map { $0 % 2 })
    case 40..<48:
      return .fault(
        space: space, page: first, pick(50) ? .read : .write, free: free.map { $0 % 2 })
    case 48..<72:
      if pick(10) { options.insert(.write) }
      // Never both causes of failure, since the paths may meet either of them first.
      let pmapFails = free == nil && pick(8)
      return .wire(space: space, pages, options, free: free, pmapFails: pmapFails)
    case 72..<90: return .unwire(space: space, pages, options)
    default: return .remove(space: space, pages)
    }
  }

  /// The first difference or broken invariant after a step.
  private static func problem(
    _ worlds: [FuzzWorld], _ contents: FuzzContents, _ pages: [(space: Int, page: UInt64)]
  ) -> String? {
    let snapshots = worlds.map { $0.snapshot() }
    if snapshots[0] != snapshots[1] {
      return "\(worlds[0].path) leaves \(snapshots[0]),\n\(worlds[1].path) \(snapshots[1])"
    }
    for world in worlds {
      let problems = world.problems()
      if !problems.isEmpty { return "\(world.path): \(problems)" }
    }
    var counts = [UInt16](repeating: 0, count: Int(worlds[0].size.shared))
    for run in snapshots[0].objects[0] {
      if !run.isValid || run.isBusy { return "a page is left busy: \(run)" }
      for page in run.range.start.rawValue..<run.range.end.rawValue {
        counts[Int(page)] = run.wireCount
      }
    }
    let expected = zip(worlds[0].wireCounts(), contents.holdCounts).map { $0 + $1 }
    if counts != expected { return "the pages are wired \(counts), not \(expected)" }
    for world in worlds where world.heldBytes() != contents.heldBytes {
      return "\(world.path): devices find \(world.heldBytes()), not \(contents.heldBytes)"
    }
    for (space, page) in pages {
      let results = worlds.map { $0.read(space, page) }
      if results[0] != results[1] { return "\(page) of \(space) reads \(results)" }
      let expected = contents.byte(space, page)
      if case .success(let byte) = results[0], byte != expected {
        return "\(page) of \(space) reads \(byte), not \(String(describing: expected))"
      }
      for world in worlds {
        if let byte = world.touch(space, page), byte != expected {
          return "\(world.path): the guest finds \(byte) in \(page) of \(space)"
        }
      }
    }
    return nil
  }

  /// How many steps succeeded by both paths, and how many were refused by one at least.
  private struct Tally {
    var done = 0
    var refused = 0
  }

  /// Makes outcomes comparable: a wire that was refused may leave pages that it maps twice, which
  /// the next one finds resident.
  private static func merge(_ outcomes: [FuzzOutcome], _ tally: inout Tally) -> [FuzzOutcome] {
    guard outcomes.contains(where: \.wasRefused) else {
      if outcomes[0].code == nil { tally.done += 1 }
      return outcomes
    }
    tally.refused += 1
    return outcomes.map { FuzzOutcome(code: $0.code, address: $0.address, wired: $0.wired) }
  }

  private static func run(
    seed: UInt64, _ size: FuzzSize, steps: Int, _ tally: inout Tally
  ) -> String? {
    var random = SeededGenerator(seed: seed)
    let worlds = WirePath.allCases.map { FuzzWorld($0, size, dirty: seed % 3 != 0) }
    defer { for world in worlds { world.object.release() } }
    var contents = FuzzContents(size)
    let all = (0..<2).flatMap { space in
      (0..<size.anonymous.upperBound).filter {
        $0 < size.shared * 2 || $0 >= size.anonymous.lowerBound
      }
      .map { (space: space, page: $0) }
    }
    for number in 0..<steps {
      let step = step(size, contents.holds, using: &random)
      // Frames and mappings never run short at once: the paths may meet either first.
      let mayLimit = !step.hasShortage && Int.random(in: 0..<100, using: &random) < 90
      let mappings = mayLimit ? [0, 0, 0, 0, 0, 1, 2].randomElement(using: &random)! : nil
      let results = worlds.map { $0.perform(step, mappings: mappings) }
      let place = "seed \(seed), step \(number), \(step), mappings \(mappings ?? -1): "
      if let problem = results.lazy.compactMap(\.problem).first { return place + problem }
      let outcomes = merge(results.map(\.0), &tally)
      guard outcomes[0] == outcomes[1] else { return place + "\(outcomes)" }
      if outcomes[0].code == nil { contents.perform(step) }
      var pages = (0..<3).map { _ in all.randomElement(using: &random)! }
      if number == steps - 1 { pages = all }
      if let problem = problem(worlds, contents, pages) { return place + problem }
    }
    for world in worlds {
      if seed % 2 == 0 { world.releaseHolds() }
      for (space, pmap) in world.spaces {
        do { try space.remove(space.bounds) } catch { return "seed \(seed): \(error)" }
        if !pmap.mappings.isEmpty { return "seed \(seed): translations are left" }
      }
      if seed % 2 != 0, world.heldBytes() != contents.heldBytes {
        return "seed \(seed): devices find \(world.heldBytes()) at the end"
      }
      world.releaseHolds()
      let left = world.machine.allocator.occupancy
      if left.free + world.object.residentCount != left.total
        || world.machine.wiredLimit.current != .zero
      {
        return "seed \(seed), \(world.path): at the end \(left) and something charged"
      }
    }
    return nil
  }

  private static let batches: UInt64 = 20
  private static let steps = 200

  @Test(arguments: 0..<batches)
  func `both paths leave the same after random operations`(batch: UInt64) {
    let runs = max(1, SuiteSize.differentialSteps / Self.batches / UInt64(Self.steps))
    var tally = Tally()
    for seed in batch * runs..<(batch + 1) * runs {
      if let problem = Self.run(seed: seed, .small, steps: Self.steps, &tally) {
        Issue.record("\(problem)")
      }
    }
    #expect(tally.refused * 50 > tally.done && tally.done > tally.refused, "\(tally)")
    print(
      "DifferentialFuzzTests: \(runs * UInt64(Self.steps)) steps by both paths, \(tally.refused) "
        + "first beyond the limit of mappings")
  }

  @Test(arguments: 1000..<1010 as Range<UInt64>)
  func `both paths leave the same among superpages`(seed: UInt64) {
    var tally = Tally()
    if let problem = Self.run(seed: seed, .superpages, steps: 60, &tally) {
      Issue.record("\(problem)")
    }
  }
}
