internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A file that a command writes besides its output.
struct OutputFile {
  /// The path.
  let path: String
  /// What the file is, such as `plot`.
  let what: String
  /// What to do if it cannot be written, such as `another --plot`.
  let advice: String

  /// Fails if the file cannot be written, before work is done in vain. Neither changes an existing
  /// file nor creates one.
  func check() throws(CLIError) {
    do {
      // Opening an existing file finds more problems than its mode shows, such as a folder.
      let file = try FileDescriptor.open(FilePath(path), .writeOnly, options: .nonBlocking)
      try file.close()
    } catch Errno.noSuchFileOrDirectory {
      let folder = FilePath(path).removingLastComponent()
      // SAFETY: the path's bytes live through the call.
      let status = unsafe access(folder.isEmpty ? "." : folder.string, W_OK)
      if status != 0 || path.isEmpty { throw problem(Errno(rawValue: errno)) }
    } catch let error as Errno {
      throw problem(error)
    } catch {
      throw problem(.ioError)
    }
  }

  func write(_ text: String) throws(CLIError) {
    do {
      let file = try open()
      _ = try file.closeAfter {
        do {
          try file.writeAll(text.utf8)
        } catch {
          // The beginning would look like the whole.
          try? file.resize(to: 0)
          throw error
        }
      }
    } catch let error as Errno {
      throw problem(error)
    } catch {
      throw problem(.ioError)
    }
  }

  /// Creates the file, or empties it. The umask restricts a new one for others, but the user can
  /// read it in any case.
  private func open() throws -> FileDescriptor {
    let permissions: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead]
    do {
      let file = try FileDescriptor.open(
        FilePath(path), .writeOnly, options: [.create, .exclusiveCreate],
        permissions: permissions)
      var status = Glibc.stat()
      // SAFETY: `status` is a whole stat and lives through the call.
      if unsafe fstat(file.rawValue, &status) == 0 {
        _ = fchmod(file.rawValue, status.st_mode & 0o777 | 0o600)
      }
      return file
    } catch Errno.fileExists {
      return try FileDescriptor.open(
        FilePath(path), .writeOnly, options: [.create, .truncate], permissions: permissions)
    }
  }

  private func problem(_ error: Errno) -> CLIError {
    error == .fileTooLarge
      ? CLIError(
        "cannot write the \(what) \(path): \(ResourceLimits.fileSizeWords) (\(error)); try: "
          + ResourceLimits.fileSizeAdvice.description)
      : CLIError("cannot write the \(what) \(path): \(error); try: \(advice)")
  }
}
