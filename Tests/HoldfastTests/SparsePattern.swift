import HoldfastTestKit

/// Contents of memory of which most is zero.
enum SparsePattern {
  /// Zeros with runs of pages that hold something, if only in their last byte.
  static func bytes(_ size: Int, seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    var bytes = [UInt8](repeating: 0, count: size)
    var page = 0
    while page < size >> 12 {
      let length = Int.random(in: 1...(Bool.random(using: &random) ? 4 : 700), using: &random)
      let kind = Int.random(in: 0..<4, using: &random)
      for index in page..<min(page + length, size >> 12) {
        let start = index << 12
        switch kind {
        case 0: bytes[start + 4095] = 1
        case 1:
          for offset in stride(from: 0, to: 4096, by: 64) {
            bytes[start + offset] = UInt8.random(in: 1...255, using: &random)
          }
        default: break
        }
      }
      page += length
    }
    return bytes
  }
}
