internal import HoldfastCore
internal import SystemPackage

extension HoldfastError {
  /// Creates the error for a KVM request that failed with an error number.
  ///
  /// - Parameter request: the request's name, such as `KVM_CREATE_VM`.
  init(
    errno error: Errno, operation: String, request: String, reason: String? = nil,
    address: Address? = nil, advice: Advice? = nil
  ) {
    let code: Code =
      switch error {
      case .noMemory, .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noSpace: .resourceShortage
      case .invalidArgument, .argListTooLong: .invalidArgument
      case .fileExists: .alreadyExists
      default: .host
      }
    self.init(
      code, operation: operation, address: address,
      reason: "\(request) failed" + (reason.map { ": \($0)" } ?? ""), errno: error.rawValue,
      advice: advice)
  }
}
