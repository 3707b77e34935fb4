public import HoldfastCore
public import HoldfastLinux

/// Why something asked of Holdfast failed: what was attempted, where, what happened, and what to do.
public struct HoldfastError: Error, Hashable, Sendable {
  /// The kinds of failure.
  public enum Code: String, Hashable, Sendable {
    /// A part of the range is not mapped, or not for the access.
    case invalidAddress
    /// An argument breaks the call's terms.
    case invalidArgument
    /// The access is not allowed.
    case protectionFailure
    /// The range of addresses is taken.
    case noSpace
    /// Frames, the wired limit or the host's translations are exhausted.
    case resourceShortage
    /// A page could not be brought in from where it is kept.
    case pagerFailure
    /// Something of that name exists already.
    case alreadyExists
    /// The host refused or lacks what was asked for.
    case host
  }

  public let code: Code
  /// What was attempted, as an infinitive.
  public let operation: String
  /// The guest's addresses that it was about, where it was about addresses.
  public let range: AddressRange?
  /// What happened.
  public let reason: String
  /// The system call's error number, where one failed.
  public let errno: Int32?
  /// What to do, where that is known.
  public let advice: String?

  public init(
    _ code: Code, operation: String, range: AddressRange? = nil, reason: String,
    errno: Int32? = nil, advice: String? = nil
  ) {
    self.code = code
    self.operation = operation
    self.range = range
    self.reason = reason
    self.errno = errno
    self.advice = advice
  }

  /// The error of the VM layer in an operation of this layer.
  init(_ error: VMError, operation: String, range: AddressRange?, advice: String? = nil) {
    let code: Code =
      switch error.code {
      case .invalidAddress: .invalidAddress
      case .invalidArgument: .invalidArgument
      case .protectionFailure: .protectionFailure
      case .noSpace: .noSpace
      case .resourceShortage: .resourceShortage
      case .pagerFailure: .pagerFailure
      }
    self.init(
      code, operation: operation, range: range, reason: error.description, errno: error.errno,
      advice: advice)
  }

  /// The error of the host layer.
  public init(_ error: HostError) {
    self.init(
      .host, operation: error.operation, reason: error.what, errno: error.errno,
      advice: error.advice)
  }
}

extension HoldfastError: CustomStringConvertible {
  /// One line, in the form of `HostError`.
  public var description: String {
    HostError(operation: operation, what: reason, errno: errno, advice: advice).description
  }
}
