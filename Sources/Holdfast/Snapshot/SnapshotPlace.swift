internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Where a snapshot is to be, and the words for what is wrong with that.
struct SnapshotPlace: Sendable {
  private let path: String
  private let folder: Folder
  private let name: String
  private let operation: String

  /// Opens the folder and looks at what has the name.
  ///
  /// - Throws: code `invalidArgument` where that is no regular file, `host` where the folder cannot be
  ///   opened.
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
        reason: "it is \(old.kind), and only a regular file is replaced",
        advice: .other("another path"))
    }
  }

  /// Begins the file.
  func begin(size: ByteCount) throws(HoldfastError) -> ImageFile {
    do throws(Errno) {
      return try ImageFile(in: folder, name: name, size: size)
    } catch {
      throw refusal(error)
    }
  }

  /// Ends it, in place of what has the name.
  func finish(_ file: ImageFile) throws(HoldfastError) {
    do throws(Errno) {
      try file.finish()
    } catch {
      throw refusal(error)
    }
  }

  /// The error of writing.
  func refusal(_ error: Errno) -> HoldfastError {
    let advice: Advice? =
      switch error {
      case .noSpace, .diskQuotaExceeded: .other("free space on its file system, or another path")
      case .fileTooLarge: .raiseLimit("RLIMIT_FSIZE (ulimit -f), or the file system's")
      case .permissionDenied, .readOnlyFileSystem: .other("a folder that you may write to")
      default: nil
      }
    return HoldfastError(
      .host, operation: operation, reason: "the file cannot be written", errno: error.rawValue,
      advice: advice)
  }
}
