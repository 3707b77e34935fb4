internal import Glibc
internal import Synchronization

/// The program's arguments, byte for byte as the kernel passed them.
enum Arguments {
  private static let values = Mutex<[[UInt8]]>([])

  /// Keeps a copy of the arguments of main(), without the program's name. Called once, first.
  static func set(count: Int32, _ pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) {
    var words: [[UInt8]] = []
    for index in 1..<max(1, Int(count)) {
      // SAFETY: the list of main() has `count` texts, each of which ends in a zero byte.
      guard let word = unsafe pointers?[index] else { break }
      words.append(unsafe Array(UnsafeRawBufferPointer(start: word, count: strlen(word))))
    }
    values.withLock { $0 = words }
  }

  /// The arguments, without their zero bytes.
  static var bytes: [[UInt8]] { values.withLock { $0 } }

  /// The arguments as texts. Bytes that are not UTF-8 are replaced by U+FFFD; of the program's own
  /// options none has them (``firstUnreadable``).
  static var texts: [String] { bytes.map { String(decoding: $0, as: UTF8.self) } }

  /// The first of the program's own arguments that is not UTF-8. What follows `--` belongs to
  /// another program.
  static var firstUnreadable: String? {
    bytes.prefix { $0 != Array("--".utf8) }
      .first { String(validating: $0, as: UTF8.self) == nil }
      .map { String(decoding: $0, as: UTF8.self) }
  }
}
