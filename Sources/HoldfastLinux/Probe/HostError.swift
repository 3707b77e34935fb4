internal import SystemPackage

/// Why something asked of the host failed, and what to do about it.
public struct HostError: Error, Hashable, Sendable {
  /// What was attempted, as an infinitive: `reserve huge pages`.
  public let operation: String
  /// What happened, with the sizes and names that matter.
  public let what: String
  /// The system call's error number where the host refused, else nil.
  public let errno: Int32?
  /// What to do, or nil where there is no telling.
  public let advice: String?

  /// An error with its parts as described on the properties.
  public init(operation: String, what: String, errno: Int32? = nil, advice: String? = nil) {
    self.operation = operation
    self.what = what
    self.errno = errno
    self.advice = advice
  }
}

extension HostError: CustomStringConvertible {
  /// One line: `cannot reserve huge pages: ... (Permission denied); try: ...`.
  public var description: String {
    let reason = errno.map { " (\(Errno(rawValue: $0)))" } ?? ""
    return "cannot \(operation): \(what)\(reason)" + (advice.map { "; try: \($0)" } ?? "")
  }
}
