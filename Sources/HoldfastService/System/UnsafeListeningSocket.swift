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

  /// Accepts a connection; nil where the client has gone.
  func accept() -> Connection? {
    let file = hf_accept(descriptor, 500)
    return file < 0 ? nil : Connection(file)
  }
}
