internal import HoldfastCore

/// Ways that are measured together, each once in a run.
protocol BenchmarkGroup: AnyObject {
  /// The name in `conditions`, and of steps.
  var name: String { get }
  /// The ways with what was measured so far.
  var ways: [MeasuredWay] { get set }

  /// Does one run, which does not count if its number is 0.
  ///
  /// - Parameters:
  ///   - condition: the number of the run's entry in the report's `conditions`.
  ///   - step: called before each measurement; throws `cancelled` to end the run.
  func measure(
    run: Int, condition: Int, step: (String) throws(HoldfastError) -> Void
  ) throws(HoldfastError)
}

extension BenchmarkGroup {
  /// Whether none of the ways can be measured.
  var hasFailed: Bool { ways.allSatisfy { $0.problem != nil } }

  /// Measures each way that has not failed with a closure; the order rotates from run to run. If the
  /// host cannot do a way's work, the way says so.
  func measureEach(
    run: Int, condition: Int, step: (String) throws(HoldfastError) -> Void,
    _ seconds: (Int) throws(HoldfastError) -> Double
  ) throws(HoldfastError) {
    for number in ways.indices {
      let index = (number + run) % ways.count
      guard ways[index].problem == nil else { continue }
      try step(ways[index].name)
      do throws(HoldfastError) {
        let time = try seconds(index)
        if run > 0 {
          ways[index].seconds.append(time)
          ways[index].conditions.append(condition)
        }
      } catch {
        guard error.code != .cancelled else { throw error }
        ways[index].fail(error.description)
      }
    }
  }
}
