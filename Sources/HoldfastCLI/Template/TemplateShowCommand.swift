internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastMonitor
internal import HoldfastTemplate

/// `holdfast template show`.
struct TemplateShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show a template, and what it and its clones take.",
    usage: "holdfast template show <name> [<options>]",
    discussion: """
      For each clone, `own` is the size of the pages that were copied for it, `shared` that of the \
      template's pages that it has mapped, and `promised` the most that `own` may become. The sum \
      is the template's memory and all `own`; beside it is what as many separate guests would \
      take. The numbers are the kernel's, from /proc/<process>/pagemap.
      """)

  @OptionGroup var template: TemplateNameOptions
  @OptionGroup var output: FormatOptions

  /// What is printed.
  private struct Report: Encodable {
    let name: String
    let path: String
    let sizeBytes: UInt64
    let pageSizeBytes: UInt64
    let stateBytes: Int
    let created: Int64
    let monitor: String?
    let version: String?
    let parent: String?
    let workingSetPages: Int?
    let books: CloneBooks
  }

  func run() throws {
    let template = try self.template.place.store().template(self.template.name)
    let about = template.about
    let report = Report(
      name: template.name.text, path: template.path, sizeBytes: about.size.rawValue,
      pageSizeBytes: about.pageSize.rawValue, stateBytes: about.stateBytes, created: about.created,
      monitor: about.monitor, version: about.version, parent: about.parent,
      workingSetPages: template.workingSet()?.pages.count, books: CloneBooks(template))
    try output.write(report, text: Self.text(report))
  }

  private static func text(_ report: Report) -> String {
    let books = report.books
    let age = max(0, HostClock.now.real - report.created)
    var rows: [(label: String, value: String)] = [
      ("template", report.name),
      ("path", report.path),
      (
        "memory",
        "\(ByteCount(report.sizeBytes)), pages of \(ByteCount(report.pageSizeBytes)), of which "
          + "\(HostReport.rounded(books.memory)) are in use"
      ),
      ("device state", "\(ByteCount(UInt64(report.stateBytes)))"),
      ("sealed", "\(Duration.seconds(age).shortText) ago"),
    ]
    let monitor = [report.monitor, report.version].compactMap { $0 }.joined(separator: " ")
    if !monitor.isEmpty { rows.append(("monitor", monitor)) }
    if let parent = report.parent { rows.append(("clone of", parent)) }
    rows.append(
      (
        "first touches", report.workingSetPages.map { "\($0) pages are known" } ?? "not known yet"
      ))
    if books.clones.isEmpty { return labeled(rows) + "\nno clones\n" }
    let clones = table(
      [["clone", "process", "age", "own", "shared", "promised", "copies"]]
        + books.clones.map { clone in
          [
            clone.name, clone.process.map { "\($0)" } ?? "-",
            clone.seconds.map { Duration.seconds($0).shortText } ?? "-",
            clone.own.map { HostReport.rounded($0) } ?? "-",
            clone.shared.map { HostReport.rounded($0) } ?? "-", clone.promised.shortDescription,
            clone.copies.map { "\($0)" } ?? "-",
          ]
        })
    return labeled(rows) + "\n" + clones
      + "\nsum \(HostReport.rounded(books.sum)); as separate guests "
      + "\(HostReport.rounded(books.separate))\n"
  }
}
