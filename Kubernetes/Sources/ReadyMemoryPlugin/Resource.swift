/// A resource of Kubernetes: ready memory of a size and page size, such as `ready-2m-2gi`, whose
/// full name is `holdfast.dev/ready-2m-2gi`.
package struct Resource: Hashable, Sendable, Comparable {
  /// The size of the pages, in bytes.
  package var pageSize: UInt64
  /// The size of each file, in bytes.
  package var size: UInt64

  /// The domain of the resources' names.
  package static let domain = "holdfast.dev"

  package init(pageSize: UInt64, size: UInt64) {
    self.pageSize = pageSize
    self.size = size
  }

  /// The name without the domain: `ready-`, the page size in the kernel's units, the size in
  /// Kubernetes's.
  package var name: String { "ready-\(Self.short(pageSize))-\(Self.short(size))i" }

  /// Reads ``name``; nil where it is any other text.
  package init?(name: String) {
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 3, words[0] == "ready", words[2].last == "i",
      let pageSize = Self.bytes(words[1]), let size = Self.bytes(words[2].dropLast()),
      pageSize > 0, size > 0, size.isMultiple(of: pageSize)
    else { return nil }
    self.init(pageSize: pageSize, size: size)
    // One text for each resource: not ready-2048k-2gi.
    guard self.name == name else { return nil }
  }

  /// The full name.
  package var fullName: String { Self.domain + "/" + name }

  /// The name of the plugin's socket.
  package var socketName: String { "holdfast-\(name).sock" }

  /// The number in the largest unit of which it is a multiple. Sizes are multiples of a page.
  private static func short(_ bytes: UInt64) -> String {
    let shift = min(bytes.trailingZeroBitCount / 10, 4) * 10
    guard bytes > 0, shift > 0 else { return "\(bytes)b" }
    return "\(bytes >> UInt64(shift))" + ["", "k", "m", "g", "t"][shift / 10]
  }

  /// Reads ``short(_:)``.
  private static func bytes(_ text: Substring) -> UInt64? {
    guard let last = text.last, let unit = ["b", "k", "m", "g", "t"].firstIndex(of: last),
      let number = UInt64(text.dropLast()), number <= UInt64.max >> UInt64(unit * 10)
    else { return nil }
    return number << UInt64(unit * 10)
  }

  package static func < (one: Resource, other: Resource) -> Bool {
    (one.pageSize, one.size) < (other.pageSize, other.size)
  }
}
