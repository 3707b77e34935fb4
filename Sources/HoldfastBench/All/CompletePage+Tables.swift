internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastPlot

// The sections of the page that have tables alone.

extension CompletePage {
  var budgets: HTMLPage.Section {
    guard !report.budgets.isEmpty else { return HTMLPage.Section("", []) }
    var table = HTMLTable(columns: ["work", "against", "budget", "measured", ""])
    for (index, budget) in report.budgets.enumerated() {
      let quantity: Quantity =
        switch budget.unit {
        case .times, .speed: .factor
        case .seconds: .seconds
        case .share: .plain
        }
      let key = "budgets.\(index)"
      table.add(
        budget.work,
        [
          .text(budget.against ?? "\u{2013}"),
          .numbers([
            .text(budget.unit == .speed ? "at least " : "at most "),
            .number(Datum(budget.limit, key: key + ".limit"), quantity),
          ]),
          budget.measured.map { .number(Datum($0, key: key + ".measured"), quantity) }
            ?? .missing("not measured"),
          .text(budget.isMet.map { $0 ? "met" : "missed" } ?? ""),
        ])
    }
    return HTMLPage.Section(
      "Budgets", name: "budgets",
      [
        .paragraph([
          .text("What the work of Holdfast may cost: a time, or a ratio to the kernel's own.")
        ]), .table(table),
      ])
  }

  var missing: HTMLPage.Section {
    var items: [[HTMLPage.Inline]] = []
    var reasons: [String] = []
    for way in report.ways {
      guard let problem = way.problem else { continue }
      // One line for all ways that a reason stops.
      let line = "\(CompletePage.words(way.backing) ?? way.group.rawValue): \(problem)"
      if !reasons.contains(line) { reasons.append(line) }
    }
    items += reasons.map { [.text($0)] }
    items += report.clones.compactMap { clone in
      clone.problem.map { [.text("clones on \(clone.backing): \($0)")] }
    }
    items += report.budgets.compactMap { budget in
      budget.problem.map { [.text("\(budget.work): \($0)")] }
    }
    items += report.missing.map { [.text("\($0.part): \($0.reason)")] }
    guard !items.isEmpty else { return HTMLPage.Section("", []) }
    return HTMLPage.Section("What was not measured", name: "missing", [.list(items)])
  }

  var measurement: HTMLPage.Section {
    var table = HTMLTable(columns: ["part", "run", "load", "steal", "other processes", ""])
    for (index, conditions) in report.conditions.enumerated() where conditions.run > 0 {
      let key = "conditions.\(index)"
      func cell(_ name: String, _ value: Double?, _ quantity: Quantity) -> HTMLTable.Cell {
        value.map { .number(Datum($0, key: "\(key).\(name)"), quantity) } ?? .missing("")
      }
      table.add(
        conditions.part,
        [
          .number(Datum(Double(conditions.run), key: key + ".run"), .count),
          cell("load", conditions.load, .plain),
          cell("stealPercent", conditions.steal.map { 100 * $0 }, .percent),
          cell("othersPercent", conditions.others.map { 100 * $0 }, .percent),
          .text(conditions.isNoisy ? "noisy" : ""),
        ])
    }
    return HTMLPage.Section(
      "How it was measured", name: "measurement",
      [
        .paragraph([
          .text(
            "Each run measures everything once. The order of the parts rotates from run to run, and "
              + "so does the order of the ways within a part, so that what slows the host down for a "
              + "while slows all of them. Ratios are of the times of one run; their median is shown. "
              + "A part of a run is noisy if the hypervisor gave over 1 % of the processors' time "
              + "to other machines (steal), or other processes took over 5 %. The load is the "
              + "average of the last minute and contains the benchmark.")
        ]),
        .paragraph([
          .text("All numbers are in "), .code("report.json"), .text(", each run of each way in "),
          .code("report.csv"), .text("."),
        ]),
        .details("What the host did besides", [.table(table)]),
      ])
  }
}

extension CompleteReport {
  /// The report as a page of its own, which loads nothing and runs no script.
  public var page: String { CompletePage(report: self).html }

  /// Pictures of the page as SVG documents, with the names of their files.
  public var pictures: [(name: String, svg: String)] {
    CompletePage(report: self).pictures.map { ($0.name + ".svg", $0.picture.svg(width: 960)) }
  }
}
