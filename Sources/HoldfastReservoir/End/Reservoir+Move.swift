internal import Glibc
package import HoldfastCore
package import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// The file of a lease.
  package struct LeasedFile: Sendable {
    /// Its path.
    package let path: String
    /// What the kernel reports about it.
    package let status: FileStatus
    let folder: Folder
    let name: LeaseFile
  }

  /// Finds the file of a lease of the calling user or of the reservoir's owner or root.
  ///
  /// - Throws: ``HoldfastError`` with the code `noLease`, `untrusted` or `host`.
  package func file(
    ofLease name: LeaseName, _ operation: String
  ) throws(HoldfastError) -> LeasedFile {
    for user in Set([caller, owner, 0]).sorted() {
      do throws(HoldfastError) {
        let (folder, file) = try find(name, user: user, operation)
        let status = try during(operation, "cannot stat its file") { () throws(Errno) in
          try folder.status(file.text)
        }
        return LeasedFile(
          path: "\(path)/leased/\(user)/\(file.text)", status: status, folder: folder, name: file)
      } catch {
        guard error.code == .noLease else { throw error }
      }
    }
    throw noLeaseError(operation, caller)
  }

  /// Takes the file of a lease out of the reservoir, to another folder of the same mount. The lease
  /// has ended then, and the memory is no longer the reservoir's.
  ///
  /// - Throws: ``HoldfastError`` with the code `noLease` where the lease has ended since; `host`.
  package func move(
    _ file: LeasedFile, to folder: Folder, _ name: String, _ operation: String
  ) throws(HoldfastError) {
    do throws(Errno) {
      try withName(
        file.name.text, in: file.folder, of: file.status.identity, timeout: Self.folderLockTimeout
      ) { () throws(Errno) in
        try file.folder.rename(file.name.text, to: folder, name)
      }
    } catch {
      if error == .noSuchFileOrDirectory { throw noLeaseError(operation, caller) }
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot move the memory of the lease")
    }
  }

  private var caller: UInt32 { geteuid() }
}
