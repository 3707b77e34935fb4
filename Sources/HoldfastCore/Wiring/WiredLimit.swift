/// A limit of the bytes that are user-wired at once, in all address spaces that share it (FreeBSD:
/// `vm.max_user_wired`; Linux: RLIMIT_MEMLOCK). May be used from any thread.
public final class WiredLimit: @unchecked Sendable {
  /// The most that may be charged.
  public let maximum: ByteCount
  private let lock = Lock()
  /// Protected by `lock`.
  private var charged = ByteCount.zero

  /// Creates a limit of `maximum` with nothing charged.
  public init(_ maximum: ByteCount) {
    self.maximum = maximum
  }

  /// A new limit that is never reached.
  public static var none: WiredLimit { WiredLimit(ByteCount(.max)) }

  /// The bytes charged now. Takes the limit's lock, a leaf.
  public var current: ByteCount { lock.withLock { charged } }

  /// Charges bytes. Returns false and charges nothing where they would exceed the limit.
  func charge(_ bytes: ByteCount) -> Bool {
    lock.withLock {
      guard bytes <= maximum - charged else { return false }
      charged += bytes
      return true
    }
  }

  /// Returns bytes that were charged.
  func uncharge(_ bytes: ByteCount) {
    lock.withLock {
      precondition(bytes <= charged, "more is uncharged than was charged")
      charged -= bytes
    }
  }
}
