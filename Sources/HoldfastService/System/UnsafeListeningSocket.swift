internal import CHoldfastLinux
internal import Glibc
internal import SystemPackage

/// A socket that listens on a loopback address.
final class ListeningSocket: Sendable {
  let descriptor: Int32
  /// The port, also where the configuration leaves it to the kernel.
  let port: UInt16

  init(_ listener: ServiceConfiguration.Listener) throws(Errno) {
    let descriptor = hf_listen_loopback(listener.isVersion6 ? 1 : 0, listener.port)
    guard descriptor >= 0 else { throw Errno(rawValue: -descriptor) }
    let port = hf_socket_port(descriptor)
    guard port >= 0 else {
      close(descriptor)
      throw Errno(rawValue: -port)
    }
    self.descriptor = descriptor
    self.port = UInt16(port)
  }

  deinit { close(descriptor) }

  /// Accepts a connection, without waiting; `ended` where the kernel lacks descriptors or memory
  /// for it, and only then.
  func accept() -> SocketResult<Connection> {
    let file = hf_accept(descriptor)
    if file >= 0 { return .done(Connection(file)) }
    switch -file {
    case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .ended
    // Also where a client has gone; the next turn accepts those behind it.
    default: return .wouldBlock
    }
  }
}
