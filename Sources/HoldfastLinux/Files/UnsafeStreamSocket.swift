internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
package import SystemPackage

/// A connection to another program, over which bytes and descriptors pass (unix(7), SOCK_STREAM).
///
/// One thread uses it at a time.
package final class StreamSocket: Sendable {
  private let file: OpenFile

  private init(descriptor: Int32) {
    file = OpenFile(descriptor: descriptor)
  }

  /// A connection to a program that inherits the other end. The corresponding C function is
  /// `socketpair`.
  package static func pair() throws(Errno) -> (ours: StreamSocket, theirs: OpenFile) {
    var (ours, theirs): (Int32, Int32) = (-1, -1)
    try check(unsafe hf_stream_pair(&ours, &theirs))
    return (StreamSocket(descriptor: ours), OpenFile(descriptor: theirs))
  }

  /// A socket with a name in a folder, at which another program will listen that inherits it, with
  /// mode 0600 and the owner of the folder. The corresponding C functions are `bind` and `listen`.
  package static func listener(_ name: String, in folder: Folder) throws(Errno) -> OpenFile {
    let status = try folder.status()
    let result = unsafe hf_listen_stream_at(
      folder.descriptor, try folder.checked(name), status.owner, status.group, 0o600)
    try check(result)
    return OpenFile(descriptor: result)
  }

  /// Connects to the socket with a name in a folder. The corresponding C function is `connect`.
  ///
  /// - Throws: `connectionRefused` if no process listens.
  package convenience init(_ name: String, in folder: Folder) throws(Errno) {
    let result = unsafe hf_connect_stream_at(folder.descriptor, try folder.checked(name))
    try check(result)
    self.init(descriptor: result)
  }

  /// Sends bytes, the first of them with a descriptor. Waits until they are sent. The corresponding
  /// C function is `sendmsg`.
  ///
  /// - Throws: `brokenPipe` where the other side has closed the connection, `timedOut`.
  package func send(
    _ bytes: [UInt8], descriptor: Int32? = nil, timeout: Duration
  ) throws(Errno) {
    let end = Instant.now + timeout
    while true {
      // SAFETY: the buffer is the whole of `bytes`, which lives through the call. A message of some
      // hundred bytes is sent whole or not at all.
      let status = unsafe hf_send_packet(file.descriptor, bytes, bytes.count, descriptor ?? -1)
      if status == 0 { return }
      guard status == -Errno.wouldBlock.rawValue else { throw Errno(rawValue: -status) }
      guard Instant.now < end else { throw .timedOut }
      usleep(1000)
    }
  }

  /// Receives some bytes; none at the end of the connection. The corresponding C functions are
  /// `poll` and `recv`.
  ///
  /// - Throws: `timedOut`.
  package func receive(timeout: Duration) throws(Errno) -> [UInt8] {
    let end = Instant.now + timeout
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      // SAFETY: the buffer is the whole of the array, which lives through the call.
      let count = unsafe buffer.withUnsafeMutableBytes { buffer in
        unsafe recv(file.descriptor, buffer.baseAddress!, buffer.count, Int32(MSG_DONTWAIT))
      }
      if count >= 0 { return Array(buffer.prefix(count)) }
      let error = Errno(rawValue: errno)
      if error == .connectionReset { return [] }
      guard error == .wouldBlock || error == .interrupted else { throw error }
      let rest = (end - Instant.now).bounded
      guard rest > .zero else { throw .timedOut }
      let milliseconds = Int32(clamping: rest.nanoseconds / 1_000_000 + 1)
      try check(hf_wait_for_packet(file.descriptor, min(milliseconds, 1000)))
    }
  }
}
