public import HoldfastCore

/// The memory that a lease asks for.
public struct LeaseRequest: Hashable, Sendable {
  /// The size, a multiple of the reservoir's page size.
  public var size: ByteCount
  /// The lease's name; nil for a new one that no other lease has.
  public var name: LeaseName?
  /// The NUMA node that the memory comes from, or nil for any.
  public var node: NodeID?
  /// Whether only a file of exactly this size will do. Otherwise a larger file is truncated where
  /// none has this size.
  public var isExact = false
  /// Whether the largest smaller file is extended where no file is large enough.
  public var grows = false
  /// Whether the lease is held: it lasts as long as ``Lease/descriptor`` is open in any process,
  /// such as a child process that inherited it. Otherwise it lasts until it is released or
  /// recycled.
  public var isHeld = false
  /// How long to wait for memory to become ready.
  public var timeout = Duration.zero
  /// The number of threads that populate what a file lacks, or nil for one for each available
  /// processor.
  public var threads: Int?

  /// Creates a request for memory of any node, without a wait.
  ///
  /// - Parameters:
  ///   - size: the size, a multiple of the reservoir's page size.
  ///   - name: the lease's name; nil for a new one.
  public init(size: ByteCount, name: LeaseName? = nil) {
    self.size = size
    self.name = name
  }
}
