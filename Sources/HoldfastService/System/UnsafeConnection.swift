internal import Glibc
internal import SystemPackage

/// An accepted connection, closed with the object.
final class Connection {
  private let file: Int32

  init(_ file: Int32) { self.file = file }

  deinit { close(file) }

  /// Reads the head of a request, up to an empty line; nil where it takes more than 2 seconds or 8
  /// KiB.
  func readHead() -> [UInt8]? {
    let end = ContinuousClock.now + .seconds(2)
    var head: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1024)
    while head.count < 8192, ContinuousClock.now < end {
      // SAFETY: the block lives through the call and has room for that many bytes.
      let count = unsafe read(file, &block, block.count)
      guard count > 0 else { return nil }
      head += block[..<count]
      if head.contains([13, 10, 13, 10]) || head.contains([10, 10]) { return head }
    }
    return nil
  }

  /// Sends a whole text and ends the connection.
  func write(_ text: String) {
    // A client that has closed the connection gets nothing.
    try? TextFile.write(text, to: file)
    shutdown(file, Int32(SHUT_WR))
    // Bytes after the head are read, since otherwise the kernel resets the connection and the
    // client may lose the response.
    var block = [UInt8](repeating: 0, count: 4096)
    for _ in 0..<4 {
      // SAFETY: as above.
      if unsafe read(file, &block, block.count) <= 0 { return }
    }
  }
}
