/// What is wrong with a service's configuration, and where.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file, as it was named.
  public let file: String
  /// The line, from 1, or nil where it is the file as a whole.
  public let line: Int?
  /// What is wrong, and where it can be told what would be right.
  public let reason: String

  public init(file: String, line: Int?, reason: String) {
    self.file = file
    self.line = line
    self.reason = reason
  }

  /// One line, as compilers write it: `reservoir.conf:12: unknown key 'levle'`.
  public var description: String {
    file + (line.map { ":\($0)" } ?? "") + ": " + reason
  }
}
