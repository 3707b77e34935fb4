package import HoldfastCore
package import SystemPackage

extension HoldfastError {
  /// The error of a failed system call; its error number determines the code.
  package init(
    errno error: Errno, operation: String, reason: String, advice: Advice? = nil
  ) {
    let code: Code =
      switch error {
      case .permissionDenied, .notPermitted, .readOnlyFileSystem: .notPermitted
      case .noMemory, .noSpace, .badAddress: .resourceShortage
      case .canceled: .cancelled
      default: .host
      }
    self.init(
      code, operation: operation, reason: reason, errno: error.rawValue, advice: advice)
  }
}

/// Calls `body`, and turns the error of a system call into that of an operation.
package func during<Result>(
  _ operation: String, _ reason: String, advice: Advice? = nil,
  _ body: () throws(Errno) -> Result
) throws(HoldfastError) -> Result {
  do throws(Errno) {
    return try body()
  } catch {
    throw HoldfastError(errno: error, operation: operation, reason: reason, advice: advice)
  }
}
