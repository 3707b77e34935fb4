import Glibc
import Testing

/// A client's connection of packets, by system calls: it sends whatever bytes and descriptors.
final class RawSocket {
  private let file: Int32

  /// Connects; nil where the kernel refuses.
  init?(_ path: String) {
    file = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard status == 0 else {
      close(file)
      return nil
    }
  }

  deinit { close(file) }

  /// A `struct cmsghdr` with the room for so many descriptors.
  private static func room(_ count: Int) -> Int { (16 + 4 * count + 7) / 8 * 8 }

  /// Sends a packet with descriptors.
  @discardableResult
  func send(_ bytes: [UInt8], files: [Int32] = []) -> Bool {
    var bytes = bytes
    var control = [UInt8](repeating: 0, count: Self.room(files.count))
    return bytes.withUnsafeMutableBytes { text in
      control.withUnsafeMutableBytes { control in
        var piece = iovec(iov_base: text.baseAddress, iov_len: text.count)
        return withUnsafeMutablePointer(to: &piece) { piece in
          var message = msghdr()
          message.msg_iov = piece
          message.msg_iovlen = 1
          if !files.isEmpty {
            control.storeBytes(of: 16 + 4 * files.count, as: Int.self)
            control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            control.storeBytes(of: 1, toByteOffset: 12, as: Int32.self)  // SCM_RIGHTS
            for (index, file) in files.enumerated() {
              control.storeBytes(of: file, toByteOffset: 16 + 4 * index, as: Int32.self)
            }
            message.msg_control = control.baseAddress
            message.msg_controllen = control.count
          }
          return sendmsg(file, &message, Int32(MSG_NOSIGNAL)) == text.count
        }
      }
    }
  }

  /// A received packet and the descriptors in it, which the receiver closes.
  struct Packet {
    var text = ""
    var files: [Int32] = []
  }

  /// Receives a packet.
  ///
  /// - Returns: nil at the end of the connection and after the timeout; `isOpen` says which.
  func receive(_ milliseconds: Int32) -> Packet? {
    var poll = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    guard Glibc.poll(&poll, 1, milliseconds) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 65536)
    var control = [UInt8](repeating: 0, count: Self.room(16))
    var packet = Packet()
    let count = bytes.withUnsafeMutableBytes { text in
      control.withUnsafeMutableBytes { control in
        var piece = iovec(iov_base: text.baseAddress, iov_len: text.count)
        return withUnsafeMutablePointer(to: &piece) { piece in
          var message = msghdr()
          message.msg_iov = piece
          message.msg_iovlen = 1
          message.msg_control = control.baseAddress
          message.msg_controllen = control.count
          let flags = Int32(MSG_DONTWAIT) | Int32(MSG_CMSG_CLOEXEC)
          let count = recvmsg(file, &message, flags)
          if message.msg_controllen >= 20, control.load(fromByteOffset: 12, as: Int32.self) == 1 {
            for offset in stride(from: 16, to: control.load(as: Int.self), by: 4) {
              packet.files.append(control.load(fromByteOffset: offset, as: Int32.self))
            }
          }
          return count
        }
      }
    }
    guard count > 0 else { return nil }
    packet.text = String(decoding: bytes[..<count], as: UTF8.self)
    return packet
  }

  /// Accepts no more packets; those that have arrived can be received.
  func stopReceiving() { shutdown(file, Int32(SHUT_RD)) }
  func stopSending() { shutdown(file, Int32(SHUT_WR)) }
}
