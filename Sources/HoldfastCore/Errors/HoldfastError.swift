/// Why an operation of Holdfast failed: what was attempted, where, what is wrong, and what to do.
///
/// The public calls of all Holdfast modules throw this type. Programs decide by `code`, `errno`
/// and `advice`; people read `description`.
public struct HoldfastError: Error, Hashable, Sendable, Codable {
  /// The kind of failure, for programs. FreeBSD's name, where there is one, is in parentheses.
  public enum Code: String, Hashable, Sendable, Codable, CaseIterable {
    /// A part of the range is not mapped, or not mapped for the access (KERN_INVALID_ADDRESS).
    case invalidAddress
    /// An argument is outside of what the call accepts (KERN_INVALID_ARGUMENT).
    case invalidArgument
    /// The protection does not allow the access, or the maximum protection not the new one
    /// (KERN_PROTECTION_FAILURE).
    case protectionFailure
    /// The range of addresses is in use, or no free range is large enough (KERN_NO_SPACE).
    case noSpace
    /// Frames, huge pages, the wired limit, mappings or another resource is exhausted
    /// (KERN_RESOURCE_SHORTAGE).
    case resourceShortage
    /// A pager cannot read a page (KERN_FAILURE of `vm_pager_get_pages`).
    case pagerFailure
    /// An object of that name or at that address exists.
    case alreadyExists
    /// Another thread or process uses the object.
    case busy
    /// The caller cancelled the operation.
    case cancelled
    /// This user lacks the permission.
    case notPermitted
    /// The host lacks the feature.
    case unsupported
    /// A system call failed, for a reason without a case of its own.
    case host
    /// The guest accessed memory that is not there, or did something that its program must not.
    case guestFault
    /// The folder is missing or has no reservoir in it.
    case noReservoir
    /// No lease has that name.
    case noLease
    /// No ready memory satisfies the request.
    case noReadyMemory
    /// Another user may have made or changed a file or folder that Holdfast has to trust.
    case untrusted
    /// No template has that name.
    case noTemplate
  }

  /// The kind of failure.
  public let code: Code
  /// What was attempted, as an infinitive: `wire 10 GiB at 0x0`. Empty where an inner layer throws
  /// and the caller has not named the operation yet.
  public let operation: String
  /// What is wrong, with the names and sizes that matter. A phrase without a full stop.
  public let reason: String
  /// The range of guest addresses that the operation was for.
  public let range: AddressRange?
  /// The first guest address that failed.
  public let address: Address?
  /// The system call's error number, where one failed.
  public let errno: Int32?
  /// What to do, where that is known.
  public let advice: Advice?

  /// Creates an error; the parameters are the properties.
  public init(
    _ code: Code, operation: String, range: AddressRange? = nil, address: Address? = nil,
    reason: String, errno: Int32? = nil, advice: Advice? = nil
  ) {
    self.code = code
    self.operation = operation
    self.reason = reason
    self.range = range
    self.address = address
    self.errno = errno
    self.advice = advice
  }

  /// Creates an error of an inner layer, whose caller names the operation by
  /// `during(_:range:advice:)`.
  package init(
    _ code: Code, at address: Address? = nil, _ reason: String, errno: Int32? = nil,
    advice: Advice? = nil
  ) {
    self.init(code, operation: "", address: address, reason: reason, errno: errno, advice: advice)
  }

  /// The same error with the operation and the range that the caller was asked for.
  ///
  /// - Parameter advice: what to do, where the error does not say.
  package func during(
    _ operation: String, range: AddressRange? = nil, advice: Advice? = nil
  ) -> HoldfastError {
    HoldfastError(
      code, operation: operation, range: range ?? self.range, address: address, reason: reason,
      errno: errno, advice: self.advice ?? advice)
  }

  /// The same error at this address, whatever address it has: that of another mapping, perhaps, of
  /// another guest, whose translations the operation could not change.
  package func relocated(to address: Address) -> HoldfastError {
    HoldfastError(
      code, operation: operation, range: range, address: address, reason: reason, errno: errno,
      advice: advice)
  }

  /// The same error at an address, unless it has one.
  package func at(_ address: Address) -> HoldfastError {
    HoldfastError(
      code, operation: operation, range: range, address: self.address ?? address, reason: reason,
      errno: errno, advice: advice)
  }
}

extension HoldfastError: CustomStringConvertible {
  /// One line: `cannot wire 10 GiB at 0x0: no free frame is left at 0x40000000; try: ...`.
  public var description: String { statement + (advice.map { "; try: \($0)" } ?? "") }

  /// The line without the advice, for programs that put the advice into words of their own.
  public var statement: String {
    (operation.isEmpty ? "" : "cannot \(operation): ") + reason
      + (address.map { " at \($0)" } ?? "") + (errno.map { " (\(errorText($0)))" } ?? "")
  }
}
