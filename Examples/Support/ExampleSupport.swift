import Foundation
import Holdfast

/// Runs an example and ends the process: with status 0 on success, and with status 1 and the error
/// on failure. Where the host cannot run the example, that is a failure only with `CI=true` in the
/// environment.
///
/// - Parameter lacks: what the example needs and this host does not have, or nil.
public func runExample(
  unlessHost lacks: (HostCapabilities) -> String? = { _ in nil }, _ body: () throws -> Void
) -> Never {
  if let missing = lacks(HostProbe().host()) {
    print("not run: \(missing)")
    exit(ProcessInfo.processInfo.environment["CI"] == "true" ? 1 : 0)
  }
  do {
    try body()
    exit(0)
  } catch {
    print("failed: \(error)")
    exit(1)
  }
}

/// Why the host cannot page guest memory on demand, or nil.
public func pagingProblem(_ host: HostCapabilities) -> String? {
  host.userFault.isComplete
    ? nil : host.userFault.problem ?? "userfaultfd lacks features (Linux 5.19)"
}

/// Why the host cannot run KVM guests, or nil.
public func kvmProblem(_ host: HostCapabilities) -> String? {
  host.kvm.isUsable ? nil : host.kvm.problem ?? "/dev/kvm cannot be used"
}

/// Throws unless a condition holds.
public func check(_ condition: Bool, _ message: String) throws {
  guard condition else { throw CheckFailure(description: message) }
}

/// What an example expected and did not find.
public struct CheckFailure: Error, CustomStringConvertible {
  /// The expectation.
  public let description: String

  /// Creates a failure.
  public init(description: String) {
    self.description = description
  }
}
