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

  package static func < (one: Resource, other: Resource) -> Bool {
    (one.pageSize, one.size) < (other.pageSize, other.size)
  }
}
