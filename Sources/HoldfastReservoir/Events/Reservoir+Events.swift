package import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// The name of the socket in the reservoir's folder on which the service listens.
  static let eventSocketName = "events"

  /// Reports an operation to the observer, or else to the service if one listens. The operation
  /// does not depend on the report.
  func report(_ event: ReservoirEvent) {
    if let observer { return observer(event) }
    try? top.send(event.message, to: Reservoir.eventSocketName)
  }

  /// Performs an operation and reports its failure, unless the caller's arguments caused it.
  func reportingFailure<Result>(
    of operation: ReservoirEvent.Operation, _ body: () throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    let start = Instant.now
    do throws(HoldfastError) {
      return try body()
    } catch {
      switch error.code {
      case .invalidArgument, .alreadyExists, .noLease, .notPermitted, .cancelled: break
      default:
        report(
          ReservoirEvent(operation, failure: error.code, duration: Instant.now - start))
      }
      throw error
    }
  }

  /// Listens for the events of the reservoir's operations in all processes.
  ///
  /// The socket lies beside the folders, where only the owner can create one, and only the owner and
  /// root can write to it. The call replaces the socket of a dead listener.
  ///
  /// - Returns: nil where another process listens.
  package func listen() throws(HoldfastError) -> EventSocket? {
    let operation = "listen for events in \(path)"
    let name = Reservoir.eventSocketName
    do throws(Errno) {
      let made = try top.makeSocket(name) { () throws(Errno) in
        try MessageSocket(
          in: top, name, owner: owner, group: try ready.status().group, permissions: 0o200)
      } probe: { () throws(Errno) in
        try top.trySocket(name)
      }
      return made.map { EventSocket($0.socket, $0.name) }
    } catch {
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot create the socket \(path)/\(name)",
        advice: .inspectAndRemove(path: "\(path)/\(name)"))
    }
  }
}
