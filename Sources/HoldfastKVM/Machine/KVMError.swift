public import Holdfast
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Why something asked of KVM failed: what was attempted, the request's name and error number, where,
/// and what to do.
public struct KVMError: Error, Hashable, Sendable {
  /// The kinds of failure.
  public enum Code: String, Hashable, Sendable {
    /// There is no usable /dev/kvm.
    case unavailable
    /// This host's KVM lacks something that is needed.
    case unsupported
    /// An argument breaks the call's terms.
    case invalidArgument
    /// Guest addresses or numbers are taken.
    case alreadyExists
    /// The processor is running, or another thread uses it.
    case busy
    /// The guest touched memory that is not there, or did what it should not.
    case guestFault
    /// The host is out of memory, descriptors or slots.
    case resourceShortage
    /// The kernel refused for another reason.
    case host
  }

  public let code: Code
  /// What was attempted, as an infinitive.
  public let operation: String
  /// The name of the request that failed, `KVM_CREATE_VM`, or nil where none did.
  public let request: String?
  /// What happened.
  public let reason: String
  /// The request's error number, where the kernel gave one.
  public let errno: Int32?
  /// The guest's address that it was about, where there is one.
  public let address: Address?
  /// What to do, where that is known.
  public let advice: String?

  public init(
    _ code: Code, operation: String, request: String? = nil, reason: String,
    errno: Int32? = nil, address: Address? = nil, advice: String? = nil
  ) {
    self.code = code
    self.operation = operation
    self.request = request
    self.reason = reason
    self.errno = errno
    self.address = address
    self.advice = advice
  }

  /// A request that failed with an error number.
  init(
    _ error: Errno, operation: String, request: String, reason: String? = nil,
    address: Address? = nil, advice: String? = nil
  ) {
    let code: Code =
      switch error {
      case .noMemory, .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noSpace: .resourceShortage
      case .invalidArgument, .argListTooLong: .invalidArgument
      case .fileExists: .alreadyExists
      default: .host
      }
    self.init(
      code, operation: operation, request: request, reason: reason ?? "\(request) failed",
      errno: error.rawValue, address: address, advice: advice)
  }
}

extension KVMError: CustomStringConvertible {
  /// One line, in the form of `HostError`.
  public var description: String {
    HostError(operation: operation, what: reason, errno: errno, advice: advice).description
  }
}

extension HoldfastError {
  /// The error of the KVM layer.
  public init(_ error: KVMError) {
    let code: Code =
      switch error.code {
      case .invalidArgument: .invalidArgument
      case .alreadyExists: .alreadyExists
      case .resourceShortage: .resourceShortage
      case .guestFault: .invalidAddress
      case .unavailable, .unsupported, .busy, .host: .host
      }
    self.init(
      code, operation: error.operation, reason: error.reason, errno: error.errno,
      advice: error.advice)
  }
}
