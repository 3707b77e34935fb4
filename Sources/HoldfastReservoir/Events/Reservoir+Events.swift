package import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// The socket in the reservoir's folder at which the service listens.
  static let eventSocketName = "events"

  /// Tells of an operation: whoever opened the reservoir, or its service if one listens. Whether anybody does
  /// changes nothing for the operation.
  func tell(_ event: ReservoirEvent) {
    if let observer { return observer(event) }
    try? top.send(event.message, to: Reservoir.eventSocketName)
  }

  /// Does an operation and tells of its failure, unless that is the caller's own doing.
  func tellingFailure<Result>(
    of operation: ReservoirEvent.Operation, _ body: () throws(HoldfastError) -> Result
  ) throws(HoldfastError) -> Result {
    let start = ContinuousClock.now
    do throws(HoldfastError) {
      return try body()
    } catch {
      switch error.code {
      case .invalidArgument, .alreadyExists, .noLease, .notPermitted, .cancelled: break
      default:
        tell(
          ReservoirEvent(operation, failure: error.code, duration: ContinuousClock.now - start))
      }
      throw error
    }
  }

  /// Listens for what the reservoir's operations tell, in whatever process they are.
  ///
  /// The socket lies beside the folders, where only the owner can put one and only those who may lease can
  /// write to it. What a dead listener left is taken away.
  ///
  /// - Returns: nil where somebody listens already.
  package func listen() throws(HoldfastError) -> EventSocket? {
    let operation = "listen in \(path)"
    let name = Reservoir.eventSocketName
    do throws(Errno) {
      for _ in 0..<8 {
        do throws(Errno) {
          let socket = try MessageSocket(
            in: top, name, owner: owner, group: try fileGroup(),
            permissions: group == nil ? 0o200 : 0o220)
          return EventSocket(socket, in: top, name, try top.status(name).identity)
        } catch {
          guard error == .addressInUse else { throw error }
        }
        do throws(Errno) {
          try top.trySocket(name)
          return nil
        } catch {
          if error == .noSuchFileOrDirectory { continue }
          guard error == .connectionRefused else { throw error }
        }
        try top.unlink(name)
      }
    } catch {
      throw HoldfastError(
        errno: error, operation: operation, reason: "\(path)/\(name) cannot be had",
        advice: .inspectAndRemove(path: "\(path)/events"))
    }
    // Others come and go at the same moment.
    return nil
  }
}

/// Where a reservoir's operations are told, until its name is another's or the object goes.
package final class EventSocket: Sendable {
  private let socket: MessageSocket
  private let folder: Folder
  private let name: String
  private let identity: FileStatus.Identity

  init(
    _ socket: MessageSocket, in folder: Folder, _ name: String, _ identity: FileStatus.Identity
  ) {
    self.socket = socket
    self.folder = folder
    self.name = name
    self.identity = identity
  }

  deinit {
    // Another one's is left alone; one that takes the name at this very moment finds out and comes again.
    if isCurrent { try? folder.unlink(name) }
  }

  /// For whoever waits for a message.
  package var descriptor: Int32 { socket.descriptor }

  /// Whether who tells something still finds this socket.
  package var isCurrent: Bool { (try? folder.status(name))?.identity == identity }

  package enum Message: Hashable, Sendable {
    case event(ReservoirEvent)
    /// Something that no reservoir tells.
    case nonsense
  }

  /// The next message, or nil where there is none.
  package func next() -> Message? {
    socket.receive().map { ReservoirEvent(message: $0).map { .event($0) } ?? .nonsense }
  }
}
