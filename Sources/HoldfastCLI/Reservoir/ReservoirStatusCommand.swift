internal import ArgumentParser
internal import HoldfastReservoir

/// `holdfast reservoir status`.
struct ReservoirStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show the memory that is ready, leased and being filled.",
    usage: "holdfast reservoir status [--leases] [<options>]",
    discussion: """
      Reads names and sizes only and opens no file. The owner and root see the leases of all \
      users; others ask the service, and see their own. The node column shows the NUMA node of \
      memory that was filled from one node.
      """)

  @Flag(help: "List the leases too, with users and paths.")
  var leases = false

  @OptionGroup var place: ReservoirAccessOptions
  @OptionGroup var output: FormatOptions

  func run() throws {
    let status = try place.access().status()
    let advice = status.rows.isEmpty ? "fill it with: holdfast reservoir fill 1x1G\n" : ""
    try output.write(status, text: status.text(showingLeases: leases) + "\n" + advice)
  }
}
