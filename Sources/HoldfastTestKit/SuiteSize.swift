/// How long the suites of random operations run, by the environment. The defaults are for debug
/// builds; CI runs far more with optimization (`make model`).
package enum SuiteSize {
  /// Steps of the model test: HOLDFAST_MODEL_STEPS.
  package static let modelSteps = number("HOLDFAST_MODEL_STEPS", 5000)
  /// Its first seed: HOLDFAST_MODEL_SEED.
  package static let modelSeed = number("HOLDFAST_MODEL_SEED", 1)
  /// Steps of the differential suite, by both paths; a quarter as many over chains:
  /// HOLDFAST_DIFFERENTIAL_STEPS.
  package static let differentialSteps = number("HOLDFAST_DIFFERENTIAL_STEPS", 10_000)
  /// Allocations and frees before compacting: HOLDFAST_COMPACTION_STEPS.
  package static let compactionSteps = number("HOLDFAST_COMPACTION_STEPS", 10_000)
  /// Seconds of each concurrency test: HOLDFAST_SECONDS.
  package static let seconds = number("HOLDFAST_SECONDS", 2)

  private static func number(_ name: String, _ otherwise: UInt64) -> UInt64 {
    environmentNumber(name) ?? otherwise
  }
}
