internal import CHoldfastLinux
internal import Glibc
internal import SystemPackage

/// A socket on loopback that waits for connections.
final class ListeningSocket: Sendable {
  let descriptor: Int32
  /// The port, also where any was asked for.
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

  /// Takes a connection, or nil where there is none any more.
  func accept() -> Connection? {
    let file = hf_accept(descriptor, 500)
    return file < 0 ? nil : Connection(file)
  }
}

/// A connection, closed with the object.
final class Connection {
  private let file: Int32

  fileprivate init(_ file: Int32) { self.file = file }

  deinit { close(file) }

  /// The bytes up to an empty line, or nil where it does not come in 2 seconds and 8 KiB.
  func readHead() -> [UInt8]? {
    let end = ContinuousClock.now + .seconds(2)
    var head: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1024)
    while head.count < 8192, ContinuousClock.now < end {
      // SAFETY: the block lives through the call and has room for so much.
      let count = unsafe read(file, &block, block.count)
      guard count > 0 else { return nil }
      head += block[..<count]
      if head.contains([13, 10, 13, 10]) || head.contains([10, 10]) { return head }
    }
    return nil
  }

  func write(_ text: String) {
    // Who asks and goes away gets nothing.
    try? TextFile.write(text, to: file)
    shutdown(file, Int32(SHUT_WR))
    // What was sent after the head is read, else the kernel takes the answer back.
    var block = [UInt8](repeating: 0, count: 4096)
    for _ in 0..<4 {
      // SAFETY: as above.
      if unsafe read(file, &block, block.count) <= 0 { return }
    }
  }
}
