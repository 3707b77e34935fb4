internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The file that a snapshot goes to: its folder and name, and the errors of writing it.
struct SnapshotFile: Sendable {
  private let path: String
  private let folder: Folder
  private let name: String
  let operation: String

  /// Opens the folder, and looks up the name in it.
  ///
  /// - Throws: code `invalidArgument` where the path names no file, or something else than a
  ///   regular file; `host` where the folder cannot be opened.
  init(_ path: String, operation: String) throws(HoldfastError) {
    self.path = path
    self.operation = operation
    let end = path.lastIndex(of: "/")
    name = String(end.map { path[path.index(after: $0)...] } ?? path[...])
    let parent = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard !name.isEmpty, name != ".", name != "..", !path.utf8.contains(0) else {
      throw HoldfastError(
        .invalidArgument, operation: operation, reason: "the path does not name a file")
    }
    do throws(Errno) {
      folder = try Folder.open(path: parent)
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: "the folder \(parent) cannot be opened",
        errno: error.rawValue,
        advice: error == .notDirectory || error == .tooManySymbolicLinkLevels
          ? .other("the path of a folder that is not a symbolic link")
          : .other("create it, or check its permissions"))
    }
    guard let old = try? folder.status(name) else { return }
    guard old.isRegular else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "the path is \(old.kind), and a snapshot replaces only a regular file",
        advice: .other("another path"))
    }
  }

  /// Creates the file without a name.
  func begin(size: ByteCount) throws(HoldfastError) -> ImageFile {
    do throws(Errno) {
      return try ImageFile(in: folder, name: name, size: size)
    } catch {
      throw failure(error)
    }
  }

  /// Flushes the file and gives it its name, in place of a file that has it.
  func finish(_ file: ImageFile) throws(HoldfastError) {
    do throws(Errno) {
      try file.finish()
    } catch {
      throw failure(error)
    }
  }

  /// The error for a system call that failed.
  func failure(_ error: Errno) -> HoldfastError {
    let advice: Advice? =
      switch error {
      case .noSpace, .diskQuotaExceeded: .other("free space on its file system, or another path")
      case .fileTooLarge: ResourceLimits.fileSizeAdvice
      case .permissionDenied, .readOnlyFileSystem: .other("a folder that you may write to")
      default: nil
      }
    return HoldfastError(
      .host, operation: operation,
      reason: "the file cannot be written"
        + (error == .fileTooLarge ? ": " + ResourceLimits.fileSizeWords : ""),
      errno: error.rawValue, advice: advice)
  }
}
