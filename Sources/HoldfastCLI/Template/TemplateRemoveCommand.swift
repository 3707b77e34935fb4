internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastReservoir
internal import HoldfastTemplate

/// `holdfast template remove`.
struct TemplateRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Remove a template that has no clones.",
    usage: "holdfast template remove <name> [<options>]",
    discussion: """
      Refuses while a process has the memory open or mapped, which the kernel proves (F_SETLEASE). \
      The memory goes back to the host, and a reservoir on the same mount gets as much new memory, \
      unless --release is given.
      """)

  @OptionGroup var template: TemplateNameOptions

  @Flag(help: "Return the memory to the host, and populate no new memory.")
  var release = false

  @OptionGroup var output: FormatOptions

  /// What is printed.
  private struct Report: Encodable {
    let name: String
    let sizeBytes: UInt64
    /// Whether as much new memory is ready.
    let isReplaced: Bool
  }

  func run() throws {
    let store = try template.place.store()
    let size = try store.remove(template.name)
    var isReplaced = false
    if store.hasReservoir, !release, size > .zero {
      do throws(HoldfastError) {
        let reservoir = try Reservoir(mount: store.mount)
        _ = try reservoir.fill(
          FillPlan([FillPlan.Part(count: 1, size: size)], isAddition: true))
        isReplaced = true
      } catch {
        Output.note("the template is removed, but \(AdviceText.line(error))")
      }
    }
    let report = Report(
      name: template.name.text, sizeBytes: size.rawValue, isReplaced: isReplaced)
    try output.write(
      report,
      text: "\(size) returned to the host"
        + (isReplaced ? ", and as much new memory is ready.\n" : ".\n"))
  }
}
