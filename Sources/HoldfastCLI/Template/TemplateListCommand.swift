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
    /// `sealed`, or `running` for a machine that will be a template.
    let state: String
    let sizeBytes: UInt64?
    let pageSizeBytes: UInt64?
    let clones: Int?
    let monitor: String?
    let version: String?
    let created: Int64?
  }

  func run() throws {
    let store = try place.store()
    var rows: [Row] = []
    for name in try store.names() {
      // One that is removed meanwhile is left out.
      guard let template = try? store.template(name) else { continue }
      let about = template.about
      rows.append(
        Row(
          name: name.text, state: "sealed", sizeBytes: about.size.rawValue,
          pageSizeBytes: about.pageSize.rawValue, clones: template.clones().count,
          monitor: about.monitor, version: about.version, created: about.created))
    }
    for name in try store.draftNames() {
      rows.append(
        Row(
          name: name.text, state: "running", sizeBytes: nil, pageSizeBytes: nil, clones: nil,
          monitor: nil, version: nil, created: nil))
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
