internal import CHoldfastLinux
internal import HoldfastCore
package import SystemPackage

/// A connection of packets, each of which may carry an open file (unix(7), SOCK_SEQPACKET).
package final class PacketSocket: Sendable {
  /// The descriptor, for poll(2).
  package let descriptor: Int32

  /// The length limit of a packet, in bytes.
  package static let longest = 65536

  fileprivate init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// Connects to the socket with a path. The corresponding C function is `connect`.
  ///
  /// - Throws: `connectionRefused` if no process listens, `wouldBlock` if too many processes wait
  ///   for the listener, `notSocket` if the path is not a socket's.
  package init(path: String) throws(Errno) {
    if path.utf8.contains(0) { throw .invalidArgument }
    // SAFETY: the path's bytes live through the call.
    let result = unsafe hf_connect(path)
    try check(result)
    descriptor = result
  }

  /// The ID of the user who connected, or who listens, at the time of that call. The corresponding
  /// C function is `getsockopt`, with SO_PEERCRED.
  package func peer() throws(Errno) -> UInt32 {
    var user: UInt32 = 0
    try check(unsafe hf_peer(descriptor, &user))
    return user
  }

  /// Sends a packet, without waiting. The corresponding C function is `sendmsg`.
  ///
  /// - Throws: `brokenPipe` if the other side has closed the connection, `wouldBlock` if it does
  ///   not read.
  package func send(_ text: String, file: OpenFile? = nil) throws(Errno) {
    let bytes = Array(text.utf8)
    // SAFETY: the buffer is the whole of `bytes`, which lives through the call.
    try check(unsafe hf_send_packet(descriptor, bytes, bytes.count, file?.descriptor ?? -1))
  }

  /// A received packet.
  package enum Packet {
    /// The text, nil if the packet is too long or not UTF-8, and the file that came with it.
    case text(String?, OpenFile?)
    /// The other side has closed the connection.
    case end
  }

  /// Receives a packet, or nil after the timeout. The corresponding C functions are `poll` and
  /// `recvmsg`.
  ///
  /// - Parameter acceptsFile: false to let the kernel discard the files that come with it.
  package func receive(
    timeout: Duration, limit: Int = PacketSocket.longest, acceptsFile: Bool
  ) throws(Errno) -> Packet? {
    guard try wait(timeout) else { return nil }
    var bytes = [UInt8](repeating: 0, count: limit)
    var file: Int32 = -1
    // SAFETY: the buffer is the whole of `bytes`, which lives through the call.
    let count = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe acceptsFile
        ? hf_receive_packet(descriptor, buffer.baseAddress!, buffer.count, &file)
        : hf_receive_bytes(descriptor, buffer.baseAddress!, buffer.count)
    }
    let open = file >= 0 ? OpenFile(descriptor: file) : nil
    if count < 0 {
      let problem = Errno(rawValue: Int32(-count))
      if problem == .wouldBlock { return nil }
      if problem == .connectionReset { return .end }
      throw problem
    }
    if count == 0 { return .end }
    guard count <= limit else { return .text(nil, open) }
    return .text(String(validating: bytes[..<Int(count)], as: UTF8.self), open)
  }

  /// Waits until a packet or the end of the connection can be received. The corresponding C
  /// function is `poll`.
  ///
  /// - Returns: false after the timeout.
  package func wait(_ timeout: Duration) throws(Errno) -> Bool {
    let milliseconds = Int32(clamping: timeout.nanoseconds / 1_000_000)
    let result = hf_wait_for_packet(descriptor, milliseconds)
    try check(result)
    return result > 0
  }
}

/// A socket to which processes connect (unix(7), SOCK_SEQPACKET). Its name outlives the object and
/// its process; then no process listens.
package final class PacketListener: Sendable {
  /// The descriptor, for poll(2).
  package let descriptor: Int32

  /// Creates the socket; the umask does not restrict its permissions. The corresponding C functions
  /// are `bind` and `listen`.
  ///
  /// - Throws: `addressInUse` if the name is in use.
  package init(
    in folder: Folder, _ name: String, owner: UInt32, group: UInt32, permissions: UInt32
  ) throws(Errno) {
    let result = unsafe hf_listen_at(
      folder.descriptor, try folder.checked(name), owner, group, permissions)
    try check(result)
    descriptor = result
  }

  /// Takes over a socket that another process has created, as systemd does (sd_listen_fds(3)).
  ///
  /// - Throws: `notSocket` if the descriptor is not such a socket.
  package init(adopting descriptor: Int32) throws(Errno) {
    try check(hf_adopt_listener(descriptor))
    self.descriptor = descriptor
  }

  deinit {
    _ = hf_close(descriptor)
  }

  /// The next connection, or nil without one. Never waits. The corresponding C function is
  /// `accept4`.
  package func accept() throws(Errno) -> PacketSocket? {
    let result = hf_accept_packets(descriptor)
    if result == -Errno.wouldBlock.rawValue { return nil }
    try check(result)
    return PacketSocket(descriptor: result)
  }
}

/// Sockets to wait for together.
package final class PacketListeners: Sendable {
  package let all: [PacketListener]
  /// A descriptor for poll(2), which is readable while a process connects to one of them.
  package let descriptor: Int32

  /// The corresponding C function is `epoll_create1`.
  package init(_ all: [PacketListener]) throws(Errno) {
    let sockets = all.map(\.descriptor)
    // SAFETY: the buffer is the whole of `sockets`, which lives through the call.
    let result = unsafe hf_any_of(sockets, sockets.count)
    try check(result)
    self.all = all
    descriptor = result
  }

  deinit {
    _ = hf_close(descriptor)
  }
}

extension Folder {
  /// Checks that a process listens for packets at the socket with a name. The corresponding C
  /// function is `connect`.
  ///
  /// - Throws: `connectionRefused` if none does, `notSocket` if the name is not a socket's.
  package func tryListener(_ name: String) throws(Errno) {
    let status = unsafe hf_try_listener_at(descriptor, try checked(name))
    if status == -Errno.wouldBlock.rawValue { return }
    try check(status)
  }
}
