internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastPlot

/// The page of `holdfast bench all`. Each number is from the report's JSON, whose place it names.
struct CompletePage {
  let report: CompleteReport

  /// The document.
  var html: String {
    HTMLPage(
      "Guest memory on this host, by Holdfast and by other ways", introduction: introduction,
      sections: [
        wiring, sizes, threads, superpages, faults, forks, qemu, boot, program, budgets, missing,
        measurement,
      ]
      .filter { !$0.parts.isEmpty }
    ).html
  }

  // MARK: The beginning

  private var introduction: [HTMLPage.Part] {
    var parts: [HTMLPage.Part] = []
    if !report.isComplete {
      parts.append(
        .paragraph([
          .strong("This report is not complete: \(report.reason ?? "it was interrupted"). "),
          .text("It has what was measured until then."),
        ]))
    }
    var host: [HTMLPage.Inline] = [
      .text("Host: \(report.host.processors.model ?? "unknown processor"), ")
    ]
    if let total = report.host.memory.total {
      host += [
        .number(Datum(Double(total.rawValue), key: "hostMemoryBytes"), .bytes),
        .text(" of memory, "),
      ]
    }
    host.append(.text("Linux \(report.kernel ?? "of an unknown release")."))
    parts.append(.paragraph(host))
    parts.append(
      .paragraph([
        .text("holdfast \(report.version), \(report.date ?? "date unknown"): guests of "),
        .number(Datum(Double(report.memory.rawValue), key: "memoryBytes"), .bytes), .text(", "),
        .number(Datum(Double(report.threads), key: "threads"), .count),
        .text(report.threads == 1 ? " thread, " : " threads, "),
        .number(Datum(Double(report.runs), key: "runs"), .count),
        .text(
          (report.runs == 1 ? " run" : " runs")
            + " of everything after one that does not count, in "),
        .number(Datum(report.seconds, key: "seconds"), .seconds), .text("."),
        .text(report.isQuick ? " This is the short benchmark, --quick." : ""),
      ]))
    let noisy = report.conditions.count { $0.run > 0 && $0.isNoisy }
    if noisy > 0 {
      parts.append(
        .paragraph([
          .strong("The host did other work: "),
          .text(
            "\(noisy) of \(report.conditions.count { $0.run > 0 }) parts of runs are noisy. Their "
              + "dots are hollow. "),
          .link("What noisy means", to: "#measurement"), .text("."),
        ]))
    }
    return parts
  }

  // MARK: Data

  /// A number of a way.
  func datum(_ index: Int, _ key: String, _ value: Double) -> Datum {
    Datum(value, key: "ways.\(index).\(key)")
  }

  func indices(_ group: MeasuredWay.Group) -> [Int] {
    report.ways.indices.filter { report.ways[$0].group == group }
  }

  static let backings = [
    "hugetlb-2M": "huge pages of 2 MiB (hugetlb)", "hugetlb-1G": "huge pages of 1 GiB (hugetlb)",
    "thp": "transparent huge pages, shared", "thp-private": "transparent huge pages, private",
    "base": "pages of 4 KiB", "tmpfs": "files on tmpfs", "disk": "files on a disk",
  ]

  static func words(_ backing: String?) -> String? {
    backing.map { backings[$0] ?? $0 }
  }

  static func style(_ kind: MeasuredWay.Kind) -> SeriesStyle {
    switch kind {
    case .holdfast: SeriesStyle(.blue)
    case .kernel: SeriesStyle(.orange, shape: .square)
    case .floor: SeriesStyle(.faint, shape: .diamond)
    case .program: SeriesStyle(.green, shape: .triangle)
    }
  }

  static let families: [MeasuredWay.Kind: String] = [
    .holdfast: "Holdfast", .kernel: "Linux without Holdfast", .floor: "floor, in C",
    .program: "other program",
  ]

  /// The picture of ways, a row for each that was measured, below the heading of its backing.
  func strip(
    _ title: String, _ axis: String, _ indices: [Int], references: [Chart.Reference] = [],
    value: ((Int) -> Datum?)? = nil
  ) -> StripPlot {
    var rows: [StripPlot.Row] = []
    var kinds: [MeasuredWay.Kind] = []
    var backing: String?
    let ordered = indices.filter { !report.ways[$0].seconds.isEmpty }
      .sorted { (order($0), $0) < (order($1), $1) }
    for index in ordered {
      let way = report.ways[index]
      if !kinds.contains(way.kind) { kinds.append(way.kind) }
      let heading = way.backing == backing ? nil : CompletePage.words(way.backing)
      backing = way.backing
      var row = StripPlot.Row(name(way), group: heading, style: CompletePage.style(way.kind))
      if let value {
        row.median = value(index)
        row.runs = row.median.map { [$0] } ?? []
      } else {
        row.runs = way.seconds.enumerated().map { datum(index, "seconds.\($0)", $1) }
        row.noisy = Set(way.seconds.indices.filter { report.isNoisy(way, $0) })
        row.median = way.median.map { datum(index, "median", $0) }
        row.floor = floor(of: index)
      }
      rows.append(row)
    }
    return StripPlot(
      title, axis: Axis(axis, .seconds, .logarithmic), rows: rows,
      families: kinds.map {
        StripPlot.Family(CompletePage.families[$0] ?? "", CompletePage.style($0))
      }, references: references)
  }

  /// The place of a way's backing: the largest pages first.
  private func order(_ index: Int) -> Int {
    let names = ["hugetlb-1G", "hugetlb-2M", "thp", "thp-private", "base"]
    return report.ways[index].backing.flatMap { names.firstIndex(of: $0) } ?? names.count
  }

  func name(_ way: MeasuredWay) -> String {
    // The threads matter for these alone: other ways use one whatever there is.
    let usesThreads = way.kind == .kernel || way.group == .qemu
    return usesThreads && way.group != .fork
      ? "\(way.name), \(counted(way.threads, "thread"))" : way.name
  }

  private func floor(of index: Int) -> Datum? {
    guard let floor = report.floor(of: report.ways[index]) else { return nil }
    return report.ways[floor].median.map { datum(floor, "median", $0) }
  }

  /// All numbers of ways, for readers who want them.
  func table(_ indices: [Int]) -> HTMLPage.Part {
    var table = HTMLTable(columns: ["way", "memory", "threads", "median", "runs", "x floor"])
    for index in indices where !report.ways[index].seconds.isEmpty {
      let way = report.ways[index]
      let ratio = report.ratio(way)
      table.add(
        way.name,
        [
          .text(CompletePage.words(way.backing) ?? "\u{2013}"),
          .number(datum(index, "threads", Double(way.threads)), .count),
          way.median.map { .number(datum(index, "median", $0), .seconds) } ?? .missing(""),
          .numbers([
            .number(datum(index, "smallest", way.seconds.min() ?? 0), .seconds), .text(" to "),
            .number(datum(index, "largest", way.seconds.max() ?? 0), .seconds),
          ]),
          ratio.map { .number(datum(index, "floorRatio", $0.median), .factor) } ?? .missing(""),
        ])
    }
    return .details("The numbers", [.table(table)])
  }
}
