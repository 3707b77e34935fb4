internal import Glibc
package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// A socket with a name in the reservoir's folder, at which the service listens, until the name
  /// belongs to another socket or the object is destroyed.
  package final class NamedListener: Sendable {
    package let socket: PacketListener
    private let name: SocketName

    fileprivate init(_ socket: PacketListener, _ name: SocketName) {
      self.socket = socket
      self.name = name
    }

    /// Whether the name still refers to this socket, so that processes can connect.
    package var isCurrent: Bool { name.isCurrent }
  }

  /// Listens for the requests of other users. The call replaces the socket of a dead listener.
  ///
  /// - Parameters:
  ///   - path: the path of the socket; nil for the one in the reservoir's folder.
  ///   - group: the group whose members may connect, besides the owner; nil for the reservoir's.
  ///   - permissions: those of the socket; nil for 0660, or without a group 0600.
  /// - Returns: nil where another process listens.
  package func listenForLeases(
    path: String? = nil, group: UInt32? = nil, permissions: UInt32? = nil
  ) throws(HoldfastError) -> NamedListener? {
    let path = path ?? "\(self.path)/\(ReservoirClient.socketName)"
    let members = group ?? self.group
    do throws(Errno) {
      let slash = path.lastIndex(of: "/") ?? path.startIndex
      let name = String(path[slash...].dropFirst())
      let folder =
        if path == "\(self.path)/\(name)" { top } else {
          try Folder.open(path: slash == path.startIndex ? "/" : String(path[..<slash]))
        }
      let group = if let members { members } else { try ready.status().group }
      let made = try folder.makeSocket(name) { () throws(Errno) in
        try PacketListener(
          in: folder, name, owner: owner, group: group,
          permissions: permissions ?? (members == nil ? 0o600 : 0o660))
      } probe: { () throws(Errno) in
        try folder.tryListener(name)
      }
      return made.map { NamedListener($0.socket, $0.name) }
    } catch {
      throw HoldfastError(
        errno: error, operation: "listen for requests of leases",
        reason: "cannot create the socket \(path)", advice: .inspectAndRemove(path: path))
    }
  }
}
