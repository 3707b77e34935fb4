/// A mount: the parts of a line of /proc/self/mountinfo that are needed to find cgroups and
/// hugetlbfs.
struct Mount: Hashable {
  /// The folder of the file system that is mounted.
  var root: String
  /// The mount point.
  var point: String
  /// The file system's type.
  var type = ""
  /// The file system's options; for a version 1 cgroup they include its controllers.
  var options: [String] = []

  /// The mounts of file systems whose type has the prefix `type`; lines that do not parse are left
  /// out.
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

  /// The folders of a cgroup and its ancestors, up to the mount point, the cgroup's own first. Only
  /// the mount point if the cgroup is outside of the mount.
  func directories(upFrom cgroup: String) -> [String] {
    var names = Mount.names(cgroup)
    let above = Mount.names(root)
    if names.starts(with: above) {
      names.removeFirst(above.count)
    } else {
      names = []
    }
    // The kernel writes `..` for a cgroup outside of the namespace's root, which is not mounted.
    if names.contains("..") { names = [] }
    return directories(upFrom: names)
  }

  /// The folder at the end of a path below the mount point, and those above it.
  func directories(upFrom names: [String]) -> [String] {
    // Only a made-up tree can be nested deeper.
    let names = names.prefix(256)
    let base = point == "/" ? "" : point
    return (0...names.count).map { above in
      ([base] + names.dropLast(above)).joined(separator: "/")
    }
  }

  /// Whether the mount shows a cgroup, which is a path as in /proc/self/cgroup.
  func contains(cgroup: String) -> Bool {
    let names = Mount.names(cgroup)
    return names.starts(with: Mount.names(root)) && !names.contains("..")
  }

  /// The levels by which the mount's root is above that of the cgroup namespace, for a mount that was
  /// made outside of it: 2 for the root `/../..`. Otherwise nil.
  var levelsAboveNamespace: Int? {
    let names = Mount.names(root)
    return names.isEmpty || names.contains { $0 != ".." } ? nil : names.count
  }

  static func names(_ path: String) -> [String] {
    path.split(separator: "/").map(String.init)
  }

  /// A path with its octal escapes decoded: those of spaces, tabs, newlines and backslashes.
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
