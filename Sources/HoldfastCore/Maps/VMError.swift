/// Why an operation on the VM layer failed (FreeBSD: the `KERN_` codes).
public struct VMError: Error, Hashable, Sendable {
  /// The kinds of failure.
  public enum Code: String, Hashable, Sendable {
    /// A part of the range is not mapped or not mapped for the access (KERN_INVALID_ADDRESS).
    case invalidAddress
    /// An argument breaks the call's terms (KERN_INVALID_ARGUMENT).
    case invalidArgument
    /// The access or the new protection is not allowed (KERN_PROTECTION_FAILURE).
    case protectionFailure
    /// No free range of addresses, or the one asked for is taken (KERN_NO_SPACE).
    case noSpace
    /// Frames, the wired limit or the host's translations are exhausted (KERN_RESOURCE_SHORTAGE).
    case resourceShortage
    /// A pager could not bring a page in (KERN_FAILURE of `vm_pager_get_pages`).
    case pagerFailure
  }

  public let code: Code
  /// The first address that failed, where one did.
  public let address: Address?
  /// What happened, in a phrase.
  public let reason: String
  /// The system call's error number where the host refused, else nil.
  public let errno: Int32?

  /// An error with its parts as described on the properties.
  public init(_ code: Code, at address: Address? = nil, _ reason: String, errno: Int32? = nil) {
    self.code = code
    self.address = address
    self.reason = reason
    self.errno = errno
  }
}

extension VMError: CustomStringConvertible {
  public var description: String {
    address.map { "\(reason) at \($0)" } ?? reason
  }
}
