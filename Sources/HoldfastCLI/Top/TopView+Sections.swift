internal import HoldfastCore
internal import HoldfastReservoir
internal import HoldfastService

extension TopView {
  /// The files of each size against what should be ready.
  var levelSection: Section {
    var table = [["LEVEL", "READY", "WANTED", "LEASED", "FILLING"]]
    for level in state.levels {
      table.append([
        level.name, "\(level.ready)", level.wanted.map { "\($0)" } ?? "-", "\(level.leased)",
        "\(level.filling)",
      ])
    }
    var lines = Self.columns(table, most: columns)
    for (index, level) in state.levels.enumerated() {
      guard let wanted = level.wanted else { continue }
      let (state, paint) = Self.state(level, wanted)
      if isWide {
        lines[index + 1].add("  " + Self.bar(level.ready, of: wanted) + "  " + state, paint)
      } else {
        lines[index + 1] = TerminalLine(lines[index + 1].text, paint)
      }
    }
    if state.levels.isEmpty, state.status != nil {
      lines.append(TerminalLine("no memory is ready, leased or being filled", .dim))
    }
    return Section(lines: lines)
  }

  private static func state(_ level: LevelRow, _ wanted: Int) -> (String, Paint) {
    if level.missing == 0 { return ("reached", .green) }
    return ("\(level.missing) missing", level.ready == 0 ? .red : .yellow)
  }

  private static func bar(_ count: Int, of all: Int) -> String {
    let width = 20
    let share = all > 0 ? Double(min(count, all)) / Double(all) : 1
    // A full bar is one that lacks nothing.
    let filled = share < 1 ? min(width - 1, Int(share * Double(width))) : width
    return "[" + String(repeating: "#", count: filled)
      + String(repeating: "-", count: width - filled) + "]"
  }

  /// What was done, and what failed.
  var operationSection: Section {
    switch state.service {
    case .unknown: Section(lines: leaseChanges)
    case .read(let contents, _, let change):
      Section(lines: operations(contents.reading, change), isCuttable: false)
    }
  }

  /// The heading of rates.
  private var period: String {
    switch state.period {
    case .sinceStart: "SINCE START"
    case .interval(let duration): "LAST \(Self.short(duration))"
    }
  }

  /// What a change of the names of leases shows, where no service counts them.
  private var leaseChanges: [TerminalLine] {
    guard let change = state.leases else { return [] }
    return Self.columns(
      [
        [period, "SEEN"], ["leases begun", "\(change.begun)"], ["leases ended", "\(change.ended)"],
      ],
      most: columns)
  }

  private func operations(_ reading: ServiceReading, _ change: ReadingChange) -> [TerminalLine] {
    func bound(_ timed: ServiceReading.Timed, _ part: Double) -> String {
      guard let bound = change.durations[timed]?.bound(ofPart: part) else { return "-" }
      if bound.isFinite { return "≤ " + Duration.seconds(bound).boundText }
      return "> " + (Duration.seconds(change.durations[timed]?.bounds.last ?? 0).boundText)
    }
    func row(
      _ name: String, _ timed: ServiceReading.Timed, _ bytes: ServiceReading.Counter?
    ) -> [String] {
      [
        name, Self.number(change.rate(change.durations[timed]?.count ?? 0)),
        bytes.map { Self.amount(change.rate(change.counters[$0] ?? 0)) } ?? "-",
        grouped(reading.durations[timed]?.count ?? 0), bound(timed, 0.5), bound(timed, 0.99),
      ]
    }
    let failed = change.failures.values.reduce(0, +)
    let releases = [
      "releases", Self.number(change.rate(change.counters[.released] ?? 0)),
      Self.amount(change.rate(change.counters[.releasedBytes] ?? 0)),
      grouped(reading.counters[.released] ?? 0), "-", "-",
    ]
    let failures = [
      "failures", Self.number(change.rate(failed)), "-",
      grouped(reading.failures.values.reduce(0, &+)), "-", "-",
    ]
    var table = [
      [period, "PER S", "BYTES/S", "TOTAL", "P50", "P99"],
      row("leases", .lease, .leasedBytes), row("lease waits", .leaseWait, nil),
      row("fills", .fill, .filledBytes), row("recycles", .recycle, .recycledBytes),
      row("collections", .collect, .collectedBytes), releases, failures,
    ]
    if !isWide { table = table.map { [$0[0], $0[1], $0[3], $0[5]] } }
    var lines = Self.columns(table, most: columns)
    if failed > 0 { lines[7] = TerminalLine(lines[7].text, .red) }
    // The latest failures first.
    let kinds = reading.failures.sorted {
      ((change.failures[$0.key] ?? 0) > 0 ? 0 : 1, $0.key)
        < ((change.failures[$1.key] ?? 0) > 0 ? 0 : 1, $1.key)
    }
    if !kinds.isEmpty {
      let words = kinds.map { failure, count in
        let more = change.failures[failure] ?? 0
        let isRecent = more > 0 && state.period != .sinceStart
        return "\(failure.operation) \(failure.code) \(count)" + (isRecent ? " (+\(more))" : "")
      }
      lines.append(TerminalLine("failed: " + words.joined(separator: ", "), .dim))
    }
    return lines
  }

  /// The leases, the youngest first.
  func leaseSection(_ status: ReservoirStatus) -> Section {
    let leases = status.leases.sorted { ($0.seconds, $0.name) < ($1.seconds, $1.name) }
    guard !leases.isEmpty else { return Section(lines: []) }
    // No more than the rows show; the number of the others is known.
    var table = [["LEASE", "SIZE", "NODE", "USER", "KIND", "AGE"]]
    for lease in leases.prefix(rows) {
      table.append([
        lease.name.printable, lease.size.shortDescription, lease.node.map { "\($0)" } ?? "-",
        "\(lease.user)", lease.isHeld ? "run" : "lease", Self.age(lease.seconds),
      ])
    }
    if !isWide { table = table.map { [$0[0], $0[1], $0[5]] } }
    let lines = Self.columns(table, most: columns)
    let others = [TerminalLine](
      repeating: TerminalLine(), count: leases.count - (table.count - 1))
    return Section(lines: lines + others)
  }
}
