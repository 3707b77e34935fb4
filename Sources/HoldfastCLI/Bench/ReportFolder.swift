internal import Glibc
internal import HoldfastBench
internal import SystemPackage

/// The folder of `--report`: a page, its numbers as JSON and CSV, and some of its pictures.
struct ReportFolder {
  /// The path.
  let path: String

  init(_ path: String) { self.path = path }

  /// The path of the page.
  var page: String { path + "/index.html" }

  /// Creates the folder if it is missing, and fails if the files cannot be written there, before
  /// work is done in vain.
  func create() throws(CLIError) {
    // SAFETY: the path's bytes live through the call.
    let status = unsafe mkdir(path, 0o777)
    let error = Errno(rawValue: errno)
    guard status == 0 || error == .fileExists else {
      throw CLIError("cannot create the folder \(path): \(error); try: another --report")
    }
    for name in ["index.html", "report.json", "report.csv"] { try file(name).check() }
  }

  /// Writes the files, and replaces those of an earlier report.
  func write(_ report: CompleteReport) throws(CLIError) {
    try file("report.json").write(json(report))
    try file("report.csv").write(report.csv)
    for (name, svg) in report.pictures { try file(name).write(svg) }
    try file("index.html").write(report.page)
  }

  private func file(_ name: String) -> OutputFile {
    OutputFile(path: path + "/" + name, what: "report", advice: "another --report")
  }
}
