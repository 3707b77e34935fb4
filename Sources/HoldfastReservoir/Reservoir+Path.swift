internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Why the path to a mount cannot be trusted, or nil. A user who may rename one of the folders in
  /// it could put another in its place, between the checks and the program that gets the path of
  /// the memory.
  ///
  /// - Parameter mount: an absolute path. The parents of what symbolic links in it refer to are not
  ///   checked.
  static func problem(above mount: String) -> String? {
    let trusted: Set<UInt32> = [0, geteuid()]
    var path = ""
    for component in mount.split(separator: "/").dropLast() {
      path += "/" + component
      for followsLink in [false, true] {
        // One that cannot be looked up cannot be opened either.
        guard let status = try? Folder.status(path: path, followsLink: followsLink) else {
          continue
        }
        if !trusted.contains(status.owner) { return "user \(status.owner) owns \(path)" }
        // All may write to a link, which has no effect; who may replace it says its folder.
        if status.isFolder, status.permissions & 0o022 != 0, status.permissions & 0o1000 == 0 {
          return "users other than user \(status.owner) may write to \(path)"
        }
      }
    }
    return nil
  }
}
