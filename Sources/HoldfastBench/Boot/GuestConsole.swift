/// What a guest has written to its console: the numbers of its marked lines.
///
/// A clone is read by a copy of its machine's console, since the machine may have been stopped within
/// a line.
struct GuestConsole {
  /// The word before the numbers.
  let marker: String
  /// The number of the last whole line with the marker.
  private(set) var number: UInt64?
  /// The beginning of a line that is not complete.
  private var line: [UInt8] = []

  /// A longer line has no marker.
  private static let longest = 4096

  init(marker: String) { self.marker = marker }

  /// Reads more.
  ///
  /// - Returns: the numbers of the marked lines that are complete now.
  mutating func receive(_ bytes: [UInt8]) -> [UInt64] {
    var numbers: [UInt64] = []
    for byte in bytes {
      guard byte == UInt8(ascii: "\n") else {
        if line.count < Self.longest { line.append(byte) }
        continue
      }
      if let number = number(in: line) { numbers.append(number) }
      line = []
    }
    number = numbers.last ?? number
    return numbers
  }

  private func number(in line: [UInt8]) -> UInt64? {
    // A console ends lines by CR and LF.
    let text = String(decoding: line.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    guard text.hasPrefix(marker + " ") else { return nil }
    return UInt64(text.dropFirst(marker.count + 1))
  }
}
