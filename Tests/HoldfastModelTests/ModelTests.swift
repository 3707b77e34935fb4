import HoldfastCore
import HoldfastTestKit
import Testing

/// Random operations on several address spaces against a model that is a dictionary of pages. After
/// each step contents, wirings, charges, translations and `Invariants` agree.
/// `SuiteSize` says how many.
struct ModelTests {
  private static let stepsOfARun = 200

  /// The number of test cases that share the runs and run in parallel.
  static let lanes: UInt64 = 4

  private static func sequence(_ seed: UInt64) -> [ModelStep] {
    var random = SeededGenerator(seed: seed)
    return (0..<stepsOfARun).map { _ in ModelStep(using: &random) }
  }

  /// What the steps of a test case are done with.
  private struct Setting {
    /// The machine's pages for each page of the model.
    var scale: UInt64 = 1
    /// Whether there is a limit of mappings.
    var isLimited = false

    /// From 2 mappings, enough for one part of one guest, to what is enough for most steps.
    func limit(_ seed: UInt64) -> MappingLimit? {
      guard isLimited else { return nil }
      return MappingLimit(
        2 + Int(seed % 7), kind: seed % 2 == 0 ? .removalsSplit : .removalsNeedNoRoom)
    }
  }

  /// How many steps succeeded, and how many failed for want of a mapping.
  private struct Tally {
    var done = 0
    var refused = 0
  }

  /// The first failure, and the step at which it occurs.
  private static func problem(
    _ steps: [ModelStep], _ seed: UInt64, _ setting: Setting, _ tally: inout Tally
  ) -> (step: Int, what: String)? {
    let world = ModelWorld(
      dirty: seed % 2 == 0, scale: setting.scale, domains: seed % 3 == 0, large: seed % 5 < 2,
      mappingLimit: setting.limit(seed / 2))
    var found: (Int, String)?
    for (number, step) in steps.enumerated() {
      if let problem = world.perform(step) {
        found = (number, problem)
        break
      }
    }
    let left = world.finish()
    tally.done += world.outcomes.done
    tally.refused += world.outcomes.refused
    return found ?? left.map { (steps.count, $0) }
  }

  /// Removes steps, by halves down to single ones, while the rest still fails.
  private static func shrink(
    _ steps: [ModelStep], _ seed: UInt64, _ setting: Setting
  ) -> [ModelStep] {
    var steps = steps
    var tally = Tally()
    var part = steps.count / 2
    while part > 0 {
      var start = 0
      while start < steps.count {
        var fewer = steps
        fewer.removeSubrange(start..<min(start + part, steps.count))
        if problem(fewer, seed, setting, &tally) != nil {
          steps = fewer
        } else {
          start += part
        }
      }
      part /= 2
    }
    return steps
  }

  @Test(arguments: 0..<lanes)
  func `random operations leave what the model says`(lane: UInt64) {
    check(lane, steps: SuiteSize.modelSteps, Setting())
  }

  /// Each of the model's pages is 64, so that its 24 are three superpages that fill up in place.
  @Test(arguments: 0..<lanes)
  func `random operations on superpages leave what the model says`(lane: UInt64) {
    check(lane, steps: SuiteSize.modelSteps / 50, Setting(scale: 64))
  }

  /// An operation that needs a mapping too many fails and changes nothing; memory can be unmapped.
  @Test(arguments: 0..<lanes, [1, 64] as [UInt64])
  func `operations under a limit of mappings succeed or leave all as it was`(
    lane: UInt64, scale: UInt64
  ) {
    let steps = SuiteSize.modelSteps / (scale == 1 ? 2 : 100)
    let tally = check(lane, steps: steps, Setting(scale: scale, isLimited: true))
    // Neither is most of the steps refused, nor only a few.
    #expect(tally.refused * 50 > tally.done && tally.done > tally.refused, "\(tally)")
  }

  @discardableResult
  private func check(_ lane: UInt64, steps count: UInt64, _ setting: Setting) -> Tally {
    let runs = max(1, count / UInt64(Self.stepsOfARun) / Self.lanes)
    var tally = Tally()
    for run in 0..<runs {
      let seed = SuiteSize.modelSeed + lane * runs + run
      let steps = Self.sequence(seed)
      guard let problem = Self.problem(steps, seed, setting, &tally) else { continue }
      let few = Self.shrink(Array(steps.prefix(problem.step + 1)), seed, setting)
      var rest = Tally()
      let last = Self.problem(few, seed, setting, &rest)?.what ?? problem.what
      let list = few.map { "  \($0)" }.joined(separator: "\n")
      Issue.record("seed \(seed), step \(problem.step): \(problem.what)\n\(list)\n=> \(last)")
      return tally
    }
    print(
      "ModelTests: \(runs * UInt64(Self.stepsOfARun)) steps from seed "
        + "\(SuiteSize.modelSeed + lane * runs), \(setting.scale) pages each"
        + (setting.isLimited ? ", \(tally.refused) beyond the limit of mappings" : ""))
    return tally
  }
}
