/// How to wire or unwire (FreeBSD: the `VM_MAP_WIRE_` flags). The empty set, a user wiring without
/// holes, is what a monitor needs for its guest.
public struct WireOptions: OptionSet, Hashable, Sendable {
  /// The bits of the set.
  public let rawValue: UInt8

  /// Creates a set of bits.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// A wiring on behalf of a guest (FreeBSD: `VM_MAP_WIRE_USER`). It is a single state, which
  /// further user wirings do not change, and is charged to the wired limit.
  public static let user: WireOptions = []
  /// A wiring for the monitor itself (FreeBSD: `VM_MAP_WIRE_SYSTEM`). System wirings nest and are
  /// not charged.
  public static let system = WireOptions(rawValue: 1)
  /// Fail where a part of the range is not mapped or not accessible (FreeBSD:
  /// `VM_MAP_WIRE_NOHOLES`).
  public static let noHoles: WireOptions = []
  /// Skip parts of the range that are not mapped or not accessible (FreeBSD:
  /// `VM_MAP_WIRE_HOLESOK`).
  public static let holesOK = WireOptions(rawValue: 2)
  /// Every entry must be writable (FreeBSD: `VM_MAP_WIRE_WRITE`).
  public static let write = WireOptions(rawValue: 4)

  /// Preallocate superpages and enter them (the FreeBSD review's internal flag). Without this or
  /// `faultPath` `wire` chooses the path.
  package static let prefault = WireOptions(rawValue: 8)
  /// Fault page by page, for tests and comparisons.
  package static let faultPath = WireOptions(rawValue: 16)
}
