package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

/// A clone as its template's folder notes it: `<name>@<process>.<start>.<promise>`.
package struct Clone: Hashable, Sendable {
  /// Its name.
  package let name: TemplateName
  /// Its monitor; nil before that has started.
  package let process: HostProcess?
  /// The bytes of private pages that it was promised.
  package let promise: ByteCount
  /// How long it has run, in seconds; nil where that is not known.
  package var seconds: Int64?

  init(name: TemplateName, process: HostProcess?, promise: ByteCount) {
    self.name = name
    self.process = process
    self.promise = promise
  }

  /// Reads the name of a file.
  init?(_ text: String) {
    let halves = text.split(separator: "@", omittingEmptySubsequences: false)
    guard halves.count == 2, let name = try? TemplateName(String(halves[0])),
      let point = halves[1].lastIndex(of: "."),
      let promise = UInt64(halves[1][halves[1].index(after: point)...])
    else { return nil }
    let process = halves[1][..<point]
    self.init(
      name: name, process: process == "0.0" ? nil : HostProcess(text: process),
      promise: ByteCount(promise))
  }

  /// The name of its file.
  var text: String { "\(name)@\(process?.text ?? "0.0").\(promise.rawValue)" }
}
