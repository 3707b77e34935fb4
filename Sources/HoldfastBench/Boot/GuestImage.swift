internal import HoldfastCore
internal import SystemPackage

/// A guest that QEMU boots, and that says on its console when it is ready.
///
/// Its first line is the marker and a number, such as `ready 1`. It prints further such lines as long
/// as it runs, each with a larger number, so that a clone of it answers soon after it runs.
public struct GuestImage: Hashable, Sendable {
  /// The path of a Linux kernel that supports a serial console.
  public var kernel: String
  /// The path of its initial file system.
  public var initrd: String
  /// The word before the number.
  public var marker: String

  /// The word that is used where no other is given.
  public static let defaultMarker = "ready"

  /// Creates a description; the parameters are the properties.
  public init(kernel: String, initrd: String, marker: String = defaultMarker) {
    self.kernel = kernel
    self.initrd = initrd
    self.marker = marker
  }

  /// Checks that both files can be read.
  ///
  /// - Throws: `HoldfastError` (`.host`).
  func check() throws(HoldfastError) {
    for (file, what) in [(kernel, "the kernel"), (initrd, "the initial file system")] {
      do {
        try FileDescriptor.open(FilePath(file), .readOnly, options: .closeOnExec).close()
      } catch {
        throw HoldfastError(
          .host, operation: BootBenchmark.operation, reason: "\(what) \(file) cannot be read",
          errno: (error as? Errno)?.rawValue, advice: .other("another file"))
      }
    }
  }
}
