internal import Glibc
package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// A socket with a name in the reservoir's folder, at which the service listens, until the name
  /// belongs to another socket or the object is destroyed.
  package final class NamedListener: Sendable {
    package let socket: PacketListener
    private let folder: Folder
    private let name: String
    private let identity: FileStatus.Identity

    fileprivate init(_ socket: PacketListener, in folder: Folder, _ name: String) throws(Errno) {
      self.socket = socket
      self.folder = folder
      self.name = name
      identity = try folder.status(name).identity
    }

    deinit {
      if isCurrent { try? folder.unlink(name) }
    }

    /// Whether the name still refers to this socket, so that processes can connect.
    package var isCurrent: Bool { (try? folder.status(name))?.identity == identity }
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
      for _ in 0..<8 {
        do throws(Errno) {
          let socket = try PacketListener(
            in: folder, name, owner: owner, group: group,
            permissions: permissions ?? (members == nil ? 0o600 : 0o660))
          return try NamedListener(socket, in: folder, name)
        } catch {
          guard error == .addressInUse else { throw error }
        }
        do throws(Errno) {
          try folder.tryListener(name)
          return nil
        } catch {
          if error == .noSuchFileOrDirectory { continue }
          guard error == .connectionRefused else { throw error }
        }
        try folder.unlink(name)
      }
    } catch {
      throw HoldfastError(
        errno: error, operation: "listen for requests of leases",
        reason: "cannot create the socket \(path)", advice: .inspectAndRemove(path: path))
    }
    // Other services start and end at the same time.
    return nil
  }
}
