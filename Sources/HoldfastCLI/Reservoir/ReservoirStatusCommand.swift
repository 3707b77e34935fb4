internal import ArgumentParser
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
    case .text:
      try Output.write(status.text(showingLeases: leases) + "\n")
      if status.rows.isEmpty { try Output.write("fill it with: holdfast reservoir fill 1x1G\n") }
    case .json: try Output.write(json(status))
    }
  }
}
