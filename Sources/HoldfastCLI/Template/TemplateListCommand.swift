internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastMonitor
internal import HoldfastTemplate

/// `holdfast template list`.
struct TemplateListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the templates, and the machines that will be templates.",
    usage: "holdfast template list [<options>]")

  @OptionGroup var place: TemplatePlaceOptions
  @OptionGroup var output: FormatOptions

  /// A row of the list.
  private struct Row: Encodable {
    let name: String
    /// `sealed`; `damaged` for a template that cannot be used; or `running` for a machine that will
    /// be a template.
    let state: String
    var sizeBytes: UInt64?
    var pageSizeBytes: UInt64?
    var clones: Int?
    var monitor: String?
    var version: String?
    var created: Int64?
  }

  func run() throws {
    let store = try place.store()
    var rows: [Row] = []
    for name in try store.names() {
      let template: Template
      do throws(HoldfastError) {
        template = try store.template(name)
      } catch {
        // One that is removed meanwhile is left out.
        if error.code == .noTemplate || error.code == .busy { continue }
        rows.append(Row(name: name.text, state: "damaged"))
        continue
      }
      let about = template.about
      rows.append(
        Row(
          name: name.text, state: "sealed", sizeBytes: about.size.rawValue,
          pageSizeBytes: about.pageSize.rawValue, clones: template.clones().count,
          monitor: about.monitor, version: about.version, created: about.created))
    }
    for name in try store.draftNames() {
      rows.append(Row(name: name.text, state: "running"))
    }
    try output.write(rows, text: Self.text(rows))
  }

  private static func text(_ rows: [Row]) -> String {
    if rows.isEmpty { return "no templates\n" }
    return table(
      [["name", "state", "size", "pages", "clones", "monitor"]]
        + rows.map { row in
          [
            row.name, row.state, row.sizeBytes.map { ByteCount($0).shortDescription } ?? "-",
            row.pageSizeBytes.map { ByteCount($0).shortDescription } ?? "-",
            row.clones.map { "\($0)" } ?? "-",
            [row.monitor, row.version].compactMap { $0 }.joined(separator: " "),
          ]
        })
  }
}
