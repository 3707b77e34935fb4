internal import HoldfastLinux
internal import SystemPackage

/// Why something asked of a reservoir failed, and what to do about it.
public struct ReservoirError: Error, Hashable, Sendable {
  /// What kind of failure it is, for programs.
  public enum Code: String, Hashable, Sendable, Codable {
    /// There is no such folder, or no reservoir in it.
    case noReservoir
    /// Folders or files are not as the reservoir makes them: others could have put them there.
    case untrusted
    /// A name that cannot be a lease's.
    case badName
    /// Sizes or counts that cannot be.
    case badSize
    /// A lease of that name exists.
    case nameTaken
    /// No lease has that name.
    case noLease
    /// Nothing that is ready suits.
    case empty
    /// The host has too few huge pages, or too little memory.
    case shortage
    /// Another process still has the memory.
    case inUse
    /// This user may not do that.
    case notPermitted
    /// The work was stopped by whoever asked for it.
    case stopped
    /// A system call failed in a way that has no case of its own.
    case system
  }

  /// The kind.
  public let code: Code
  /// What was attempted, as an infinitive: `lease 10 GiB`.
  public let operation: String
  /// What happened, with the names and sizes that matter.
  public let what: String
  /// The system call's error number, where one failed.
  public let errno: Int32?
  /// What to do, or nil where there is no telling.
  public let advice: String?

  /// An error with its parts as described on the properties.
  public init(
    _ code: Code, operation: String, what: String, errno: Int32? = nil, advice: String? = nil
  ) {
    self.code = code
    self.operation = operation
    self.what = what
    self.errno = errno
    self.advice = advice
  }

  /// A system call that failed; the code is what its error number says.
  init(
    _ error: Errno, operation: String, what: String, advice: String? = nil
  ) {
    let code: Code =
      switch error {
      case .permissionDenied, .notPermitted, .readOnlyFileSystem: .notPermitted
      case .noMemory, .noSpace, .badAddress: .shortage
      case .canceled: .stopped
      default: .system
      }
    self.init(code, operation: operation, what: what, errno: error.rawValue, advice: advice)
  }

  /// What the host refused.
  init(_ error: HostError) {
    self.init(
      error.errno == Errno.noMemory.rawValue ? .shortage : .system, operation: error.operation,
      what: error.what, errno: error.errno, advice: error.advice)
  }
}

extension ReservoirError: CustomStringConvertible {
  /// One line: `cannot lease 10 GiB: ...; try: ...`.
  public var description: String {
    let reason = errno.map { " (\(Errno(rawValue: $0)))" } ?? ""
    return "cannot \(operation): \(what)\(reason)" + (advice.map { "; try: \($0)" } ?? "")
  }
}

/// Calls `body` and says of a system call that failed what was being done.
func during<Result>(
  _ operation: String, _ what: String, advice: String? = nil,
  _ body: () throws(Errno) -> Result
) throws(ReservoirError) -> Result {
  do throws(Errno) {
    return try body()
  } catch {
    throw ReservoirError(error, operation: operation, what: what, advice: advice)
  }
}
