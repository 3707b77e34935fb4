import HoldfastCore
import HoldfastTestKit
import Testing

/// Random operations on several address spaces against a model that is a dictionary of pages. After
/// each step contents, wirings, charges, translations and `Invariants` agree.
/// `SuiteSize` says how many.
@Suite struct ModelTests {
  private static let stepsOfARun = 200

  /// The number of test cases that share the runs and run in parallel.
  static let lanes: UInt64 = 4

  private static func sequence(_ seed: UInt64) -> [ModelStep] {
    var random = SeededGenerator(seed: seed)
    return (0..<stepsOfARun).map { _ in ModelStep(using: &random) }
  }

  /// The first failure, and the step at which it occurs.
  private static func problem(
    _ steps: [ModelStep], _ seed: UInt64, scale: UInt64
  ) -> (step: Int, what: String)? {
    let world = ModelWorld(
      dirty: seed % 2 == 0, scale: scale, domains: seed % 3 == 0, large: seed % 5 < 2)
    var found: (Int, String)?
    for (number, step) in steps.enumerated() {
      if let problem = world.perform(step) {
        found = (number, problem)
        break
      }
    }
    let left = world.finish()
    return found ?? left.map { (steps.count, $0) }
  }

  /// Removes steps, by halves down to single ones, while the rest still fails.
  private static func shrink(_ steps: [ModelStep], _ seed: UInt64, scale: UInt64) -> [ModelStep] {
    var steps = steps
    var part = steps.count / 2
    while part > 0 {
      var start = 0
      while start < steps.count {
        var fewer = steps
        fewer.removeSubrange(start..<min(start + part, steps.count))
        if problem(fewer, seed, scale: scale) != nil {
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
    check(lane, steps: SuiteSize.modelSteps, scale: 1)
  }

  /// Each of the model's pages is 64, so that its 24 are three superpages that fill up in place.
  @Test(arguments: 0..<lanes)
  func `random operations on superpages leave what the model says`(lane: UInt64) {
    check(lane, steps: SuiteSize.modelSteps / 50, scale: 64)
  }

  private func check(_ lane: UInt64, steps count: UInt64, scale: UInt64) {
    let runs = max(1, count / UInt64(Self.stepsOfARun) / Self.lanes)
    for run in 0..<runs {
      let seed = SuiteSize.modelSeed + lane * runs + run
      let steps = Self.sequence(seed)
      guard let problem = Self.problem(steps, seed, scale: scale) else { continue }
      let few = Self.shrink(
        Array(steps.prefix(problem.step + 1)), seed, scale: scale)
      let last = Self.problem(few, seed, scale: scale)?.what ?? problem.what
      let list = few.map { "  \($0)" }.joined(separator: "\n")
      Issue.record("seed \(seed), step \(problem.step): \(problem.what)\n\(list)\n=> \(last)")
      return
    }
    print(
      "ModelTests: \(runs * UInt64(Self.stepsOfARun)) steps from seed "
        + "\(SuiteSize.modelSeed + lane * runs), \(scale) pages each")
  }
}
