package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

/// A clone as its template's folder notes it: `<name>@<process>.<start>.<promise>`, and until its
/// guest runs followed by `!` and the process that starts it. If that one has ended, the clone waits
/// for a state that never comes.
package struct Clone: Hashable, Sendable {
  /// Its name.
  package let name: TemplateName
  /// Its monitor; nil before that has started.
  package let process: HostProcess?
  /// The bytes of private pages that it was promised.
  package let promise: ByteCount
  /// How long it has run, in seconds; nil where that is not known.
  package var seconds: Int64?

  /// The process that starts it; nil once its guest runs.
  let starter: HostProcess?

  init(
    name: TemplateName, process: HostProcess?, promise: ByteCount, starter: HostProcess? = nil
  ) {
    self.name = name
    self.process = process
    self.promise = promise
    self.starter = starter
  }

  /// Reads the name of a file.
  init?(_ text: String) {
    let halves = text.split(separator: "@", omittingEmptySubsequences: false)
    guard halves.count == 2, let name = try? TemplateName(String(halves[0])) else { return nil }
    let parts = halves[1].split(separator: "!", omittingEmptySubsequences: false)
    guard parts.count <= 2, let point = parts[0].lastIndex(of: "."),
      let promise = UInt64(parts[0][parts[0].index(after: point)...])
    else { return nil }
    let process = parts[0][..<point]
    self.init(
      name: name, process: process == Self.unknown ? nil : HostProcess(text: process),
      promise: ByteCount(promise),
      starter: parts.count == 2 ? HostProcess(text: parts[1]) : nil)
  }

  private static let unknown = "0.0"

  /// The name of its file.
  var text: String {
    "\(name)@\(process?.text ?? Self.unknown).\(promise.rawValue)"
      + (starter.map { "!" + $0.text } ?? "")
  }
}
