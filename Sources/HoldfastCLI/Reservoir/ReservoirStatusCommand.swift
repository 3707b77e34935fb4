internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// `holdfast reservoir status`.
struct ReservoirStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show what is ready, leased and being filled.",
    usage: "holdfast reservoir status [--leases] [<options>]",
    discussion: """
      Looks at names and sizes alone and opens nothing. Only root sees the leases of all users. A \
      node is known of memory that was filled for one.
      """)

  @Flag(help: "List the leases too, with their users and paths.")
  var leases = false

  @OptionGroup var place: ReservoirOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let status = try place.reservoir().status()
    switch output.format {
    case .text: try Output.write(status.text(leases: leases))
    case .json: try Output.write(json(status))
    }
  }
}

extension ReservoirStatus {
  /// For people: a table by size, then what else there is to say.
  func text(leases showsLeases: Bool) -> String {
    var table = [["Size", "Ready", "Leased", "Filling", "Page", "Node"]]
    for row in rows {
      table.append([
        row.size.shortDescription, "\(row.ready)", "\(row.leased)", "\(row.filling)",
        pageSize.shortDescription, row.node.map { "\($0)" } ?? "-",
      ])
    }
    var text = columns(table)
    if rows.isEmpty { text += "nothing is ready; fill it with: holdfast reservoir fill 1x1G\n" }
    if showsLeases, !leases.isEmpty {
      var table = [["Lease", "Size", "Node", "User", "Kind", "Age (s)", "Path"]]
      for lease in leases {
        table.append([
          lease.name, lease.size.shortDescription, lease.node.map { "\($0)" } ?? "-",
          "\(lease.user)", lease.isHeld ? "run" : "lease", "\(lease.seconds)", lease.path,
        ])
      }
      text += "\n" + columns(table)
    }
    if let freePages {
      text += "\n\(grouped(freePages.rawValue)) huge pages of \(pageSize) are free in the pool\n"
    }
    if !isComplete { text += "leases of other users are not counted\n" }
    text += foreign.map { "not the reservoir's: \(Output.singleLine($0))\n" }.joined()
    return text
  }

  /// Columns as wide as they have to be, numbers to the right, the first and the last to the left.
  private func columns(_ table: [[String]]) -> String {
    let widths = table[0].indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    return table.map { row in
      row.enumerated().map { column, cell in
        if column == row.count - 1 { return cell }
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }.joined(separator: "  ") + "\n"
    }.joined()
  }
}
