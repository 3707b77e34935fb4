/// A line of /proc/self/mountinfo, as far as finding cgroups and huge pages needs it.
struct Mount: Hashable {
  /// The directory of the file system that is mounted.
  var root: String
  /// Where it is mounted.
  var point: String
  /// The file system's type.
  var type = ""
  /// The file system's own options; for a version 1 cgroup they name its controllers.
  var options: [String] = []

  /// Mounts of file systems whose type begins so; lines that do not parse are left out.
  static func parse(_ text: String, type: String = "cgroup") -> [Mount] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      // 36 35 98:0 /root /point rw,noatime master:1 - type source options
      let words = line.split(separator: " ")
      guard words.count >= 9, let dash = words[5...].firstIndex(of: "-"), words.count > dash + 3,
        words[dash + 1].hasPrefix(type)
      else { return nil }
      return Mount(
        root: unescaped(words[3]), point: unescaped(words[4]), type: String(words[dash + 1]),
        options: words[dash + 3].split(separator: ",").map(String.init))
    }
  }

  /// The directories of a cgroup and those above it, down to the mount's own, own first; only the
  /// mount's where the cgroup lies outside of what is mounted.
  func directories(upFrom cgroup: String) -> [String] {
    var names = Mount.names(cgroup)
    let above = Mount.names(root)
    if names.starts(with: above) {
      names.removeFirst(above.count)
    } else {
      names = []
    }
    // Outside of a cgroup namespace's root the kernel writes `..`; nothing of that is mounted.
    if names.contains("..") { names = [] }
    // The kernel does not nest deeper than paths are long; a made-up tree might say it does.
    names = Array(names.prefix(256))
    let base = point == "/" ? "" : point
    return (0...names.count).map { above in
      ([base] + names.dropLast(above)).joined(separator: "/")
    }
  }

  private static func names(_ path: String) -> [String] {
    path.split(separator: "/").map(String.init)
  }

  /// A path with the octal escapes of spaces, tabs, newlines and backslashes undone.
  static func unescaped(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3,
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
