/// The number of a physical base page: its offset in the arena divided by the size of a base page
/// (FreeBSD: `vm_page_t`, `atop(vm_paddr_t)`; Linux: a page frame number).
public struct Frame: PagePosition {
  /// The number of frames before this one.
  public let rawValue: UInt64

  /// The frame that follows so many others.
  @inlinable
  public init(_ rawValue: UInt64) {
    self.rawValue = rawValue
  }
}
