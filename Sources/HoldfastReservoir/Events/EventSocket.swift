internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The socket that receives a reservoir's events, until its name belongs to another socket or the
/// object is destroyed.
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
    // The name of another socket stays. One that takes the name at this very moment notices its
    // loss (`isCurrent`) and listens again.
    if isCurrent { try? folder.unlink(name) }
  }

  /// The descriptor, for poll(2).
  package var descriptor: Int32 { socket.descriptor }

  /// Whether the name still refers to this socket, so that it receives events.
  package var isCurrent: Bool { (try? folder.status(name))?.identity == identity }

  /// A received message.
  package enum Message: Hashable, Sendable {
    /// An event.
    case event(ReservoirEvent)
    /// A message that is not an event of this version.
    case invalid
  }

  /// The next message, or nil where there is none.
  package func next() -> Message? {
    socket.receive().map { ReservoirEvent(message: $0).map { .event($0) } ?? .invalid }
  }
}
