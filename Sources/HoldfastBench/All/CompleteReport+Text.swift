internal import HoldfastCore
internal import HoldfastLinux

extension CompleteReport {
  /// The report for a terminal: the medians of the ways to wire memory, a clone against a boot, and
  /// the budgets.
  public var text: String {
    var parts = [heading]
    var rows = [["way", "memory", "threads", "median", "x floor"]]
    for way in ways where way.group == .wire && !way.seconds.isEmpty {
      rows.append([
        way.name, way.backing ?? "-", "\(way.threads)", way.median.map(time) ?? "-",
        ratio(way).map { number($0.median) } ?? "-",
      ])
    }
    if rows.count > 1 { parts.append(aligned(rows)) }
    if let boot, let line = BootBenchmarkReport(boot).conclusion { parts.append(line) }
    if !budgets.isEmpty {
      let met = budgets.count { $0.isMet == true }
      let missed = budgets.filter { $0.isMet == false }.map(\.work)
      parts.append(
        "budgets: \(met) of \(budgets.count) met"
          + (missed.isEmpty ? "" : "; missed: " + missed.joined(separator: ", ")))
    }
    let noisy = conditions.count { $0.run > 0 && $0.isNoisy }
    if noisy > 0 {
      parts.append(
        "noisy: in \(noisy) of \(conditions.count { $0.run > 0 }) parts of runs the host did other "
          + "work")
    }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var heading: String {
    "Guest memory of \(memory) on \(host.processors.model ?? "an unknown processor"), "
      + "\(counted(runs, "run")), \(counted(threads, "thread"))"
      + (isComplete ? "" : "\nnot complete: \(reason ?? "it was interrupted")")
  }
}
