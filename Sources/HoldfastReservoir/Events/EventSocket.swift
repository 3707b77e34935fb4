internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The socket that receives a reservoir's events, until its name belongs to another socket or the
/// object is destroyed.
package final class EventSocket: Sendable {
  private let socket: MessageSocket
  private let name: SocketName

  init(_ socket: MessageSocket, _ name: SocketName) {
    self.socket = socket
    self.name = name
  }

  /// The descriptor, for poll(2).
  package var descriptor: Int32 { socket.descriptor }

  /// Whether the name still refers to this socket, so that it receives events.
  package var isCurrent: Bool { name.isCurrent }

  /// A received message.
  package enum Message: Hashable, Sendable {
    /// An event.
    case event(ReservoirEvent)
    /// A message that is not an event of this version.
    case invalid
  }

  /// The next message, or nil without one.
  package func next() -> Message? {
    socket.receive().map { ReservoirEvent(message: $0).map { .event($0) } ?? .invalid }
  }
}
