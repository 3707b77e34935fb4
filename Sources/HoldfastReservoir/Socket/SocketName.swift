internal import HoldfastLinux
internal import SystemPackage

/// The name of a socket in a folder, until the name belongs to another socket or the object is
/// destroyed, which removes the name.
final class SocketName: Sendable {
  private let folder: Folder
  private let name: String
  private let identity: FileStatus.Identity

  /// Notes which socket has the name.
  init(_ name: String, in folder: Folder) throws(Errno) {
    self.folder = folder
    self.name = name
    identity = try folder.status(name).identity
  }

  deinit {
    // The name of another socket stays. One that takes the name at this very moment notices its
    // loss (`isCurrent`) and listens again.
    if isCurrent { try? folder.unlink(name) }
  }

  /// Whether the name still refers to this socket, so that other processes reach it.
  var isCurrent: Bool { (try? folder.status(name))?.identity == identity }
}

extension Folder {
  /// Creates a socket with a name, in place of the socket of a dead listener.
  ///
  /// - Parameters:
  ///   - create: creates the socket with that name; throws `addressInUse` if the name is in use.
  ///   - probe: throws `connectionRefused` if no process listens at the name.
  /// - Returns: nil if another process listens, or if others keep taking the name.
  func makeSocket<Socket>(
    _ name: String, create: () throws(Errno) -> Socket, probe: () throws(Errno) -> Void
  ) throws(Errno) -> (socket: Socket, name: SocketName)? {
    // Other services start and end at the same time.
    for _ in 0..<8 {
      do throws(Errno) {
        return (try create(), try SocketName(name, in: self))
      } catch {
        guard error == .addressInUse else { throw error }
      }
      do throws(Errno) {
        try probe()
        return nil
      } catch {
        if error == .noSuchFileOrDirectory { continue }
        guard error == .connectionRefused else { throw error }
      }
      try unlink(name)
    }
    return nil
  }
}
