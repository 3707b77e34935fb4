internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Where saved memory goes. Safe to use from any thread.
protocol SaveTarget: Sendable {
  /// The operation, for errors.
  var operation: String { get }

  /// Writes bytes at an offset from the start of the saved range, except blocks that are zero.
  ///
  /// - Returns: how many bytes were written.
  func write(_ bytes: RawSpan, at offset: ByteCount) throws(HoldfastError) -> ByteCount
}

/// A snapshot's file while it is written.
struct SnapshotTarget: SaveTarget {
  let snapshot: SnapshotFile
  let file: ImageFile

  var operation: String { snapshot.operation }

  func write(_ bytes: RawSpan, at offset: ByteCount) throws(HoldfastError) -> ByteCount {
    do throws(Errno) {
      return try file.write(bytes, at: offset)
    } catch {
      throw snapshot.failure(error)
    }
  }
}
