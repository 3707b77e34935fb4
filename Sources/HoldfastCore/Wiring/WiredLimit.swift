/// How many bytes may be user-wired at once, over all address spaces that share the limit
/// (FreeBSD: `vm.max_user_wired`).
public final class WiredLimit: @unchecked Sendable {
  /// How much may be charged.
  public let maximum: ByteCount
  private let lock = Lock()
  /// Protected by `lock`.
  private var charged = ByteCount.zero

  /// A limit with nothing charged.
  public init(_ maximum: ByteCount) {
    self.maximum = maximum
  }

  /// A limit that is never reached.
  public static var none: WiredLimit { WiredLimit(ByteCount(.max)) }

  /// The bytes charged now.
  public var current: ByteCount { lock.withLock { charged } }

  /// Charges bytes, or returns false and charges nothing where they pass the limit.
  func charge(_ bytes: ByteCount) -> Bool {
    lock.withLock {
      guard bytes <= maximum - charged else { return false }
      charged += bytes
      return true
    }
  }

  func uncharge(_ bytes: ByteCount) {
    lock.withLock {
      precondition(bytes <= charged, "more is uncharged than was charged")
      charged -= bytes
    }
  }
}
