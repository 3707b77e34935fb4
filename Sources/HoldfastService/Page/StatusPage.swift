internal import HoldfastCore
internal import HoldfastPlot

/// The service's page for people: levels, operations, failures and the last hour, without scripts.
///
/// Like ``PageReport`` it has no names of leases. Everything that is text in it is escaped by
/// `HTMLPage`.
struct StatusPage {
  let reading: ServiceReading
  let history: History
  /// The reservoir's folder.
  let path: String
  /// Why the service is not healthy, or nil.
  let problem: String?
  /// The seconds since 1970.
  let time: Double

  /// The number of rows of a table.
  static let mostRows = 100

  /// The document.
  ///
  /// - Complexity: O(samples)
  var html: String {
    HTMLPage(
      "Reservoir \(path.printable)", introduction: introduction,
      sections: [
        .init("Levels", [levels]), .init("The last hour", [graphs]),
        .init("Operations", [operations]), .init("Failures", [failures]),
      ]
    ).html
  }

  private var introduction: [HTMLPage.Part] {
    var state: [HTMLPage.Inline] = [.strong(problem == nil ? "Healthy." : "Not healthy:")]
    if let problem { state.append(.text(" \(problem.printable).")) }
    if let started = reading.started {
      state.append(.text(" The service started \(Self.age(max(0, time - started))) ago."))
    }
    if let free = reading.freePages {
      state.append(.text(" \(free) huge pages of the host's pool are free."))
    }
    return [
      .paragraph(state),
      .paragraph([
        .text("The page loads again every ten seconds. The same as data: "),
        .link("status.json", to: "/status.json"), .text(", "), .link("metrics", to: "/metrics"),
        .text(", "), .link("healthz", to: "/healthz"), .text("."),
      ]),
    ]
  }

  private var rows: [LevelRow] { LevelRow.all(reading.levels, reading.rows) }

  private var levels: HTMLPage.Part {
    let rows = rows
    if rows.isEmpty {
      return .paragraph([.text("No level is configured, and there are no files.")])
    }
    var table = HTMLTable(columns: ["Size", "Ready", "Wanted", "Leased", "Being filled", "State"])
    for row in rows.prefix(Self.mostRows) {
      let state =
        row.wanted == nil ? "no level" : row.missing == 0 ? "reached" : "\(row.missing) missing"
      table.add(
        row.name,
        [
          Self.cell(row.ready), row.wanted.map { Self.cell($0) } ?? .missing(""),
          Self.cell(row.leased), Self.cell(row.filling), .text(state),
        ])
    }
    if rows.count > Self.mostRows { table.add("and \(rows.count - Self.mostRows) more", []) }
    return .table(table)
  }

  private var operations: HTMLPage.Part {
    var table = HTMLTable(
      columns: ["Operation", "Since the start", "In the last sample", "Median up to", "p99 up to"])
    for (name, timed) in [
      ("leases", ServiceReading.Timed.lease), ("waits of leases", .leaseWait), ("fills", .fill),
      ("recycles", .recycle), ("collections", .collect),
    ] {
      let all = reading.durations[timed]
      let new = history.change?.durations[timed]
      func bound(_ part: Double) -> HTMLTable.Cell {
        guard let bound = all?.bound(ofPart: part) else { return .missing("") }
        let text =
          bound.isFinite
          ? Quantity.seconds.text(bound) : "over " + Quantity.seconds.text(all?.bounds.last ?? 0)
        return .numbers([.text(text)])
      }
      table.add(
        name, [Self.cell(all?.count ?? 0), Self.cell(new?.count ?? 0), bound(0.5), bound(0.99)])
    }
    table.add(
      "releases",
      [
        Self.cell(reading.counters[.released] ?? 0),
        Self.cell(history.change?.counters[.released] ?? 0), .missing(""), .missing(""),
      ])
    return .table(table)
  }

  private var failures: HTMLPage.Part {
    if reading.failures.isEmpty {
      return .paragraph([.text("No operation has failed since the start.")])
    }
    var table = HTMLTable(
      columns: ["Failed operation", "Code", "Since the start", "In the last sample"])
    let sorted = reading.failures.sorted { $0.key < $1.key }
    for (failure, count) in sorted.prefix(Self.mostRows) {
      table.add(
        failure.operation.printable,
        [
          .text(failure.code.printable), Self.cell(count),
          Self.cell(history.change?.failures[failure] ?? 0),
        ])
    }
    if sorted.count > Self.mostRows { table.add("and \(sorted.count - Self.mostRows) more", []) }
    return .table(table)
  }

  private static func cell(_ number: some BinaryInteger & CustomStringConvertible) -> HTMLTable.Cell
  { .numbers([.text("\(number)")]) }

  /// An age in one unit, rounded down.
  private static func age(_ seconds: Double) -> String {
    for (unit, name) in [(86_400.0, "days"), (3600, "hours"), (60, "minutes")]
    where seconds >= 2 * unit { return "\(Int(min(seconds, 1e12) / unit)) \(name)" }
    return "\(Int(min(seconds, 1e12))) seconds"
  }
}
