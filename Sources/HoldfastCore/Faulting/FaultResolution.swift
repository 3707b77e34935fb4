/// What `AddressSpace.fault` did.
public struct FaultResolution: Hashable, Sendable {
  /// The addresses that can be reached now: the page, and perhaps pages around it.
  public var range: AddressRange
  /// The work that made the page resident.
  public var work: Work

  /// What made the page resident.
  public enum Work: Hashable, Sendable {
    /// It was resident.
    case none
    /// It is new and zero.
    case zeroed
    /// It is a copy of a shared page.
    case copied
    /// A pager supplied it.
    case paged
  }
}
