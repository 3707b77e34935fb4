internal import Foundation
internal import Glibc
package import HoldfastCore

/// A folder for templates, on tmpfs, a disk or a hugetlbfs of its own, removed with the object.
package final class TemplatePlace: Sendable {
  /// The kinds of file systems.
  package enum Kind: String, Sendable, CaseIterable {
    case tmpfs
    case disk
    case hugetlbfs
  }

  /// The folder.
  package let path: String
  private let isMounted: Bool

  /// Creates a folder on a file system of the host, or mounts one.
  ///
  /// - Parameter size: the size of a mount of its own, which needs root; nil for none, except for
  ///   hugetlbfs, which is always mounted.
  /// - Returns: nil where the folder or the mount cannot be made.
  package init?(_ kind: Kind, size: ByteCount? = nil) {
    let parent = kind == .tmpfs ? "/dev/shm" : NSTemporaryDirectory()
    path = parent + "/holdfast-template-\(UUID())"
    isMounted = kind == .hugetlbfs || size != nil
    // SAFETY: the texts' bytes live through the calls.
    guard unsafe mkdir(path, 0o755) == 0 else { return nil }
    guard isMounted else { return }
    let options =
      "mode=0755" + (kind == .hugetlbfs ? ",pagesize=2M" : "")
      + (size.map { ",size=\($0.rawValue)" } ?? "")
    // SAFETY: as above.
    let status = unsafe options.withCString {
      unsafe mount("holdfast-test", path, kind.rawValue, 0, $0)
    }
    if status != 0 {
      unsafe rmdir(path)
      return nil
    }
  }

  deinit {
    // SAFETY: the path's bytes live through the call.
    if isMounted { unsafe umount2(path, Int32(MNT_DETACH)) }
    try? FileManager.default.removeItem(atPath: path)
  }
}
