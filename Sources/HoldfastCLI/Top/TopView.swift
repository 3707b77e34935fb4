internal import HoldfastCore
internal import HoldfastReservoir
internal import HoldfastService

/// The view of a reservoir as lines of text: a function of the state and of the terminal's size.
struct TopView {
  let state: TopState
  let columns: Int
  let rows: Int
  var isPaused = false
  /// Whether the last line names the keys.
  var hasKeys = false

  /// The lines, at most `rows` of at most `columns` each.
  ///
  /// Where the rows do not suffice, the lists are cut and their last lines say how much is missing.
  ///
  /// - Complexity: O(levels + leases log leases)
  var lines: [TerminalLine] {
    let head = Array(head.prefix(max(1, rows / 2)))
    var sections = [levelSection, operationSection]
    if let status = state.status { sections.append(leaseSection(status)) }
    let showsKeys = hasKeys && rows >= 16
    var left = rows - head.count - (showsKeys ? 1 : 0)
    let hasGaps = rows >= 16
    var lines = head
    for (index, section) in sections.enumerated() {
      let gap = hasGaps ? 1 : 0
      // The sections that follow keep a part of the room, since each is of interest.
      let others = sections[(index + 1)...]
      let kept = others.map { min($0.lines.count, Self.least) + gap }.reduce(0, +)
      let room = max(left - kept, min(left, Self.least + gap))
      let shown = section.lines(room - gap)
      guard !shown.isEmpty else { continue }
      if hasGaps { lines.append(TerminalLine()) }
      lines += shown
      left -= shown.count + gap
    }
    if showsKeys {
      // An unlimited view has no last line.
      while lines.count < rows - 1 { lines.append(TerminalLine()) }
      lines.append(TerminalLine("q quit   p pause   ? help", .dim))
    }
    return lines.prefix(rows).map { $0.clipped(to: columns) }
  }

  /// The rows that a section keeps where there are more: its heading and two lines.
  private static let least = 3

  /// A heading with a list below it.
  struct Section {
    var lines: [TerminalLine]
    /// Whether the list is worth showing in part.
    var isCuttable = true

    /// The section in a number of rows, and what is missing from it.
    func lines(_ rows: Int) -> [TerminalLine] {
      if lines.count <= rows { return lines }
      // A heading alone says nothing.
      guard rows >= 2 else { return [] }
      guard isCuttable else { return Array(lines.prefix(rows)) }
      let more = lines.count - (rows - 1)
      return lines.prefix(rows - 1)
        + [TerminalLine("and \(grouped(UInt64(more))) more", .dim)]
    }
  }

  /// Whether there is room for all columns.
  var isWide: Bool { columns >= 60 }

  // MARK: The head

  private var head: [TerminalLine] {
    var lines = [title, totals, serviceLine]
    if let problem = state.problem {
      lines.append(TerminalLine("only what the service counts is shown: \(problem)", .yellow))
    }
    if let status = state.status {
      if !status.isComplete {
        lines.append(TerminalLine("leases of other users are not counted", .dim))
      }
      if let first = status.foreign.first {
        let more = status.foreign.count > 1 ? " (and \(status.foreign.count - 1) more)" : ""
        lines.append(TerminalLine("foreign file: \(first)\(more)", .yellow))
      }
    }
    if let source = state.levelSource {
      lines.append(TerminalLine("the levels are those of \(source)", .dim))
    }
    return lines
  }

  private var title: TerminalLine {
    let name = "reservoir " + (state.status?.path ?? "").printable
    let pace = isPaused ? "paused" : "every \(Self.short(state.interval))"
    let right = isWide ? "\(state.clock)  \(pace)" : state.clock
    // A view without a limit of columns is read line by line.
    guard columns < Self.unlimited else { return TerminalLine("\(name)  \(right)", .bold) }
    let room = columns - right.columns - 2
    guard room > 0 else { return TerminalLine(right, .bold) }
    return TerminalLine(name.padded(to: room) + "  " + right, .bold)
  }

  /// The number of columns of a view without a limit.
  static let unlimited = 1 << 16
  /// The number of lines of such a view.
  static let unlimitedRows = 1 << 30

  private var totals: TerminalLine {
    let totals = MemoryTotals(state.rows)
    var text =
      "ready \(Self.amount(totals.ready)), leased \(Self.amount(totals.leased)), filling "
      + Self.amount(totals.filling)
    if let status = state.status, let free = status.freePages {
      text += "; \(grouped(free.rawValue)) free pages of \(status.pageSize.shortDescription)"
    }
    return TerminalLine(text)
  }

  private var serviceLine: TerminalLine {
    switch state.service {
    case .unknown(let reason): return TerminalLine("no metrics of a service: \(reason)", .yellow)
    case .read(let contents, let source, _):
      let age = contents.reading.started.map { max(0, state.time - $0) }
      let since = age.map { ", started \(Self.age(Int64(min($0, 1e12)))) ago" } ?? ""
      guard let problem = contents.problem else {
        return TerminalLine("service\(since), by \(source)")
      }
      guard problem.isEmpty else { return TerminalLine("service not healthy: \(problem)", .red) }
      return TerminalLine("service healthy\(since), at \(source)")
    }
  }
}
