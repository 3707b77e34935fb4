public import HoldfastCore

/// The table that `holdfast bench budgets` prints.
public struct BudgetReport: Sendable, Encodable {
  /// The size of the guests.
  public let memoryBytes: ByteCount
  /// The counted runs of each measurement.
  public let runs: Int
  /// The threads that populated and zeroed memory.
  public let threads: Int
  /// The processor, or nil if it is unknown.
  public let processor: String?
  /// The rows.
  public let budgets: [Budget]

  /// Creates the report.
  public init(
    memory: ByteCount, runs: Int, threads: Int, processor: String?, budgets: [Budget]
  ) {
    memoryBytes = memory
    self.runs = runs
    self.threads = threads
    self.processor = processor
    self.budgets = budgets
  }

  private enum CodingKeys: String, CodingKey {
    case memoryBytes, runs, threads, processor, budgets
  }

  /// The rows whose ratio misses its budget twofold.
  public var farMissed: [Budget] { budgets.filter(\.isFarMissed) }

  /// The report for people.
  public var text: String {
    let heading =
      "Budgets for guests of \(memoryBytes) on \(processor ?? "an unknown processor"), "
      + "\(counted(threads, "thread")), medians of \(counted(runs, "run"))"
    let rows = budgets.map { budget in
      [
        budget.work, budget.against ?? "-", BudgetReport.text(budget.limit, budget, isLimit: true),
        budget.measured.map { BudgetReport.text($0, budget, isLimit: false) } ?? "-",
        budget.isMet.map { $0 ? "met" : "missed" } ?? "not measured",
      ]
    }
    let problems = budgets.compactMap { budget in
      budget.problem.map { "not measured: \(budget.work): \($0)" }
    }
    let table = aligned([["work", "against", "budget", "measured", ""]] + rows)
    return ([heading, table] + (problems.isEmpty ? [] : [problems.joined(separator: "\n")]))
      .joined(separator: "\n\n") + "\n"
  }

  private static func text(_ value: Double, _ budget: Budget, isLimit: Bool) -> String {
    switch budget.unit {
    case .times: (isLimit ? "at most " : "") + number(value) + "x"
    case .speed: (isLimit ? "at least " : "") + number(100 * value) + " %"
    case .seconds: (isLimit ? "at most " : "") + time(value)
    case .share: (isLimit ? "at most " : "") + number(100 * value) + " %"
    }
  }
}
