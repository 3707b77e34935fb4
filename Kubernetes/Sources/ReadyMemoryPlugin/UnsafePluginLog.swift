internal import Glibc

/// Lines for the log of the container, on standard error. A line that repeats itself is written
/// once, so that a round each second does not fill the log.
package struct PluginLog: Sendable {
  private var last: [String: String] = [:]

  package init() {}

  /// Writes a line.
  package static func write(_ line: String) {
    var bytes = Array("holdfast-kubernetes: \(line)\n".utf8)[...]
    while !bytes.isEmpty {
      // SAFETY: the call reads as many bytes as the collection has.
      let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
      guard written > 0 else { return }
      bytes = bytes.dropFirst(written)
    }
  }

  /// Writes a line about a subject where it differs from the last one; nil ends the subject.
  package mutating func note(_ subject: String, _ line: String?) {
    guard last[subject] != line else { return }
    last[subject] = line
    if let line { Self.write(line) }
  }
}
