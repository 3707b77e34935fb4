/// How much a fault brings at once.
public enum FaultGranularity: Hashable, Sendable {
  /// A base page.
  case basePage
  /// A large page of 2 MiB, zeroed or copied as a whole, where the mapping has all of it, none of it is
  /// there yet, and a block of that size is free; else a base page. On geometries whose base page is that
  /// large there is no difference.
  case largePage
}

/// What a fault did.
public struct FaultResolution: Hashable, Sendable {
  /// The addresses that can be reached now.
  public var range: AddressRange
  public var work: Work

  /// Where the pages came from.
  public enum Work: Hashable, Sendable {
    /// They were there.
    case none
    /// New, of zeros.
    case zeroed
    /// Copies of pages that are shared.
    case copied
    /// A pager brought them.
    case paged
  }
}
