internal import CHoldfastLinux
package import SystemPackage

/// A socket that has a name in a folder, to which others send short texts (unix(7), SOCK_DGRAM). The name
/// stays when the object goes, or its process: then nobody listens.
package final class MessageSocket: Sendable {
  /// For whoever waits for a message.
  package let descriptor: Int32

  /// What may be told at once, in bytes.
  package static let longest = 512

  /// Makes the socket, with an owner and permissions whatever the process's mask. The corresponding C
  /// function is `bind`.
  ///
  /// - Throws: `addressInUse` where something has the name.
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

  /// The next message, or nil where there is none. One that is too long or no UTF-8 is an empty text. The
  /// corresponding C function is `recv`.
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
  /// Sends a message to the socket of a name, if somebody listens there and has room for it. The
  /// corresponding C function is `sendto`; it never waits.
  package func send(_ text: String, to name: String) throws(Errno) {
    let bytes = Array(text.utf8)
    let name = try checked(name)
    // SAFETY: the buffer is the whole of `bytes`, which lives through the call; nothing is read of an empty
    // one.
    try check(unsafe hf_send_to_socket_at(descriptor, name, bytes, bytes.count))
  }

  /// Finds out whether somebody listens at the socket of a name. The corresponding C function is `connect`.
  ///
  /// - Throws: `connectionRefused` where nobody does, `notSocket` where it is something else.
  package func trySocket(_ name: String) throws(Errno) {
    try check(unsafe hf_try_socket_at(descriptor, try checked(name)))
  }
}
