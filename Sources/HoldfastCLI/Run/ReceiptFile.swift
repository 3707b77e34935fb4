internal import HoldfastCore
internal import SystemPackage

/// A file to which receipts are added, a line of JSON each.
final class ReceiptFile: Sendable {
  private let file: FileDescriptor
  private let path: String
  private let lock = Lock()

  init(_ path: String) throws(CLIError) {
    self.path = path
    do {
      file = try FileDescriptor.open(
        FilePath(path), .writeOnly, options: [.create, .append, .closeOnExec],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
    } catch {
      throw CLIError("cannot write receipts to \(path): \(error); try: another --receipts")
    }
  }

  deinit { try? file.close() }

  /// Adds a line. A failure is a note, since the clone runs.
  func write(_ value: some Encodable) {
    do {
      let line = try jsonLine(value)
      try lock.withLock { () throws(Errno) in
        do {
          _ = try file.writeAll(line.utf8)
        } catch {
          throw error as? Errno ?? .ioError
        }
      }
    } catch {
      Output.note("cannot write a receipt to \(path): \(error)")
    }
  }
}
