internal import HoldfastCore
internal import SystemPackage

extension Errno {
  /// Whether a call that needs no permission fails so where a filter of system calls forbids it.
  var isRefusal: Bool { [.notPermitted, .permissionDenied, .noFunction].contains(self) }

  /// The error of a call that needs no permission and is refused all the same; nil for another
  /// error number.
  ///
  /// - Parameters:
  ///   - call: the system call, such as `memfd_create(2)`.
  ///   - backing: a backing that can do without the call.
  func refusal(
    of call: String, _ operation: String, without backing: Backing? = nil
  ) -> HoldfastError? {
    guard isRefusal else { return nil }
    return HoldfastError(
      .notPermitted, operation: operation,
      reason: "\(call) is refused; a seccomp filter, as containers have, forbids it",
      errno: rawValue,
      advice: .other(
        "allow \(call) in the container's profile"
          + (backing.map { ", or the backing \($0.rawValue), which needs no file" } ?? "")))
  }
}
