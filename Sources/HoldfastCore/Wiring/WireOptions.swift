/// How to wire or unwire (FreeBSD: the `VM_MAP_WIRE_` flags). The empty set is what a monitor wants
/// for its guest: a user wiring without holes.
public struct WireOptions: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// A wiring on behalf of a guest: one state, that further user wirings leave as it is, charged to
  /// the wired limit.
  public static let user: WireOptions = []
  /// A wiring of the monitor's own: these nest and are not charged.
  public static let system = WireOptions(rawValue: 1)
  /// Fail where a part of the range is not mapped or not accessible.
  public static let noHoles: WireOptions = []
  /// Pass over what is not mapped or not accessible.
  public static let holesOK = WireOptions(rawValue: 2)
  /// Every entry must be writable.
  public static let write = WireOptions(rawValue: 4)

  /// Preallocate superpages and enter them (the review's internal flag). `wire` decides by itself
  /// unless this or `faultPath` is given.
  package static let prefault = WireOptions(rawValue: 8)
  /// Fault page by page, for tests and for comparison.
  package static let faultPath = WireOptions(rawValue: 16)
}

/// What one call of `wire` did.
public struct WireSummary: Hashable, Sendable {
  /// Pages in the range that are mapped and now wired by this call, or were so already.
  public internal(set) var wiredPages = PageCount.zero
  /// Pages that were resident before; they kept what they held.
  public internal(set) var residentBefore = PageCount.zero
  /// New pages whose frames were zero when they were allocated.
  public internal(set) var zeroedAhead = PageCount.zero
  /// New pages whose frames were zeroed by this call.
  public internal(set) var zeroedNow = PageCount.zero
  /// New pages that got a smaller block than their alignment allows because free memory lies in
  /// fragments.
  public internal(set) var fragmented = PageCount.zero
  /// New pages that were faulted in one by one.
  public internal(set) var faulted = PageCount.zero
  /// New pages that are copies of pages which others have too.
  public internal(set) var copied = PageCount.zero
  /// Time in allocating frames and inserting them in objects.
  public internal(set) var allocating = Duration.zero
  /// Time in zeroing dirty frames.
  public internal(set) var zeroing = Duration.zero
  /// Time in entering translations.
  public internal(set) var entering = Duration.zero
  /// Time in making the pages valid and letting others have them.
  public internal(set) var finishing = Duration.zero

  public init() {}
}
