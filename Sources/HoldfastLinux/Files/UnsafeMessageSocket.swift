internal import CHoldfastLinux
package import SystemPackage

/// A datagram socket with a name in a folder, to which other processes send short texts (unix(7),
/// SOCK_DGRAM). The name outlives the object and its process; then no process listens.
package final class MessageSocket: Sendable {
  /// The descriptor, for poll(2).
  package let descriptor: Int32

  /// The length limit of a message, in bytes.
  package static let longest = 512

  /// Creates the socket; the umask does not restrict its permissions. The corresponding C function
  /// is `bind`.
  ///
  /// - Throws: `addressInUse` if the name is in use.
  package init(
    in folder: Folder, _ name: String, owner: UInt32, group: UInt32, permissions: UInt32
  ) throws(Errno) {
    let result = unsafe hf_bind_socket_at(
      folder.descriptor, try folder.checked(name), owner, group, permissions)
    try check(result)
    descriptor = result
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// Receives the next message, or nil without one; an empty text for one that is too long or not
  /// UTF-8. Never waits. The corresponding C function is `recv`.
  package func receive() -> String? {
    var bytes = [UInt8](repeating: 0, count: Self.longest)
    // SAFETY: the buffer is the whole of `bytes`, which lives through the call.
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe hf_receive(descriptor, buffer.baseAddress!, buffer.count)
    }
    guard count >= 0 else { return nil }
    guard count <= Self.longest else { return "" }
    return String(validating: bytes[..<Int(count)], as: UTF8.self) ?? ""
  }
}

extension Folder {
  /// Sends a message to the socket with a name, without waiting. The corresponding C function is
  /// `sendto`.
  ///
  /// - Throws: `connectionRefused` if no process listens, `wouldBlock` if the socket's queue is
  ///   full.
  package func send(_ text: String, to name: String) throws(Errno) {
    let bytes = Array(text.utf8)
    let name = try checked(name)
    // SAFETY: the buffer is the whole of `bytes`, which lives through the call.
    try check(unsafe hf_send_to_socket_at(descriptor, name, bytes, bytes.count))
  }

  /// Checks that a process listens at the socket with a name. The corresponding C function is
  /// `connect`.
  ///
  /// - Throws: `connectionRefused` if none does, `notSocket` if the name is not a socket's.
  package func trySocket(_ name: String) throws(Errno) {
    try check(unsafe hf_try_socket_at(descriptor, try checked(name)))
  }
}
