internal import HoldfastCore

/// Parsers of the kernel's text formats. They accept any text and never trap: what does not parse
/// is nil or left out.
enum HostParsers {
  /// `key: value kB` lines, as in /proc/meminfo, in bytes. The first line of a key counts. A `Node
  /// 0` before the key, as in a node's meminfo, is dropped. Lines without kB are left out.
  static func memory(_ text: String) -> [String: ByteCount] {
    var fields: [String: ByteCount] = [:]
    for line in text.split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = line[line.index(after: colon)...].split(whereSeparator: \.isWhitespace)
      guard let key = line[..<colon].split(whereSeparator: \.isWhitespace).last,
        fields[String(key)] == nil, value.count == 2, value[1] == "kB",
        let bytes = kibibytes(value[0])
      else { continue }
      fields[String(key)] = bytes
    }
    return fields
  }

  /// The value of the first `key: value` line, trimmed.
  static func field(_ key: String, in text: String) -> Substring? {
    for line in text.split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":"), line[..<colon].trimmed == key[...] else {
        continue
      }
      return line[line.index(after: colon)...].trimmed
    }
    return nil
  }

  /// The value of the first `key value` line, as in a cgroup's memory.stat.
  static func statistic(_ key: String, in text: String) -> UInt64? {
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(whereSeparator: \.isWhitespace)
      if words.count == 2, words[0] == key { return UInt64(words[1]) }
    }
    return nil
  }

  /// A number of KiB in bytes, or nil if it does not parse or exceeds 2^64 - 1.
  static func kibibytes(_ text: some StringProtocol) -> ByteCount? {
    guard let count = UInt64(text) else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 1024)
    return overflow ? nil : ByteCount(bytes)
  }

  /// The size in a folder's name such as `hugepages-2048kB`: a power of two, or nil.
  static func hugePageSize(directory name: String) -> ByteCount? {
    let (prefix, suffix) = ("hugepages-", "kB")
    guard name.hasPrefix(prefix), name.hasSuffix(suffix),
      let size = kibibytes(name.dropFirst(prefix.count).dropLast(suffix.count)),
      size.rawValue.nonzeroBitCount == 1
    else { return nil }
    return size
  }

  /// The selected word of a list such as `always [madvise] never`.
  static func chosen(_ text: String) -> Substring? {
    guard let open = text.firstIndex(of: "["),
      let close = text[open...].firstIndex(of: "]")
    else { return nil }
    return text[text.index(after: open)..<close]
  }

  /// A list such as `0-3,8,10-11`. Parts that do not parse, or are descending, are left out.
  static func ranges(_ text: String) -> [ClosedRange<UInt32>] {
    text.trimmed.split(separator: ",").compactMap { part in
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0) }
      guard (1...2).contains(ends.count), let low = ends[0], let high = ends[ends.count - 1],
        low <= high
      else { return nil }
      return low...high
    }
  }

  /// The numbers of such a list below 8,192, the largest number of processors that Linux supports.
  static func numbers(_ text: String) -> [UInt32] {
    let numbers = ranges(text).flatMap { $0.prefix(8192) }.filter { $0 < 8192 }
    return Set(numbers).sorted()
  }

  /// A mask of capabilities in hexadecimal, as in the CapEff line of /proc/self/status.
  static func capabilities(_ text: Substring) -> UInt64? { UInt64(text, radix: 16) }

  /// The text without control characters, which a terminal could interpret, at most 200 characters.
  static func printable(_ text: some StringProtocol) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(200) {
      switch scalar.properties.generalCategory {
      case .control, .format, .surrogate, .lineSeparator, .paragraphSeparator: continue
      default: result.append(scalar)
      }
    }
    return String(result)
  }
}

extension StringProtocol {
  /// The text without whitespace at its ends.
  var trimmed: SubSequence {
    var rest = self[...]
    while let first = rest.first, first.isWhitespace { rest.removeFirst() }
    while let last = rest.last, last.isWhitespace { rest.removeLast() }
    return rest
  }
}
