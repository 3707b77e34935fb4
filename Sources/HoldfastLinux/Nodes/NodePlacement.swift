internal import HoldfastCore
package import SystemPackage

/// How the absent pages of a file come from nodes: the kernel takes them from there, whichever
/// thread populates them, or, where the host refuses to bind memory, the threads that populate run
/// on the nodes, and what they get has to be looked at.
package struct NodePlacement: Sendable {
  /// The nodes.
  let nodes: HostNodes
  /// The processors of the nodes that this process may run on; empty for any.
  let processors: [UInt32]
  /// Why mbind(2) does not bind the memory; nil if it does.
  package let refusal: Errno?
  /// The reason in words.
  package var problem: String? {
    refusal.map { "\(nodes.words) cannot be bound: " + HostNodes.refusalText($0, isNuma: isNuma) }
  }

  private let isNuma: Bool

  init(_ nodes: HostNodes, _ host: HostCapabilities, refusal: Errno?) {
    self.nodes = nodes
    processors = nodes.nodes.flatMap { host.node($0)?.usableProcessors ?? [] }
    isNuma = !host.nodes.isEmpty
    self.refusal = refusal
  }
}

extension HostNodes {
  /// Why mbind(2) has failed: `mbind(2) failed (Operation not permitted): a seccomp filter, …`.
  ///
  /// - Parameter isNuma: whether the kernel reports nodes, so that it has the system call.
  static func refusalText(_ error: Errno, isNuma: Bool) -> String {
    let cause =
      switch error {
      case .noFunction where !isNuma: ": the kernel is built without NUMA"
      case .notPermitted, .permissionDenied, .noFunction:
        ": a seccomp filter, as containers have, forbids it without CAP_SYS_NICE"
      case .invalidArgument: ": the node has no memory, or is outside of the cpuset"
      default: ""
      }
    return "mbind(2) failed (\(error))\(cause)"
  }
}
