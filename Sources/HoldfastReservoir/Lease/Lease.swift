public import HoldfastCore
internal import HoldfastLinux

/// What is asked of a lease.
public struct LeaseRequest: Hashable, Sendable {
  /// How much, in whole pages.
  public var size: ByteCount
  /// Nil for a name that nobody has.
  public var name: LeaseName?
  /// The node that the memory is to be of, or nil for any.
  public var node: NodeID?
  /// No larger file is cut to size where there is none of this one.
  public var isExact = false
  /// Where no file is large enough, the largest smaller one gets what it lacks.
  public var grows = false
  /// The lease lasts as long as somebody has ``Lease/descriptor`` open, a child process that inherited it
  /// too. Otherwise until it is given back.
  public var isHeld = false
  /// How long to wait for memory to become ready.
  public var timeout = Duration.zero
  /// Threads that bring in what is missing, or nil for one for each processor that may be used.
  public var threads: Int?

  public init(size: ByteCount, name: LeaseName? = nil) {
    self.size = size
    self.name = name
  }
}

/// What was leased. The memory is the user's until it is released; the object may go before.
public final class Lease: Sendable {
  public let receipt: LeaseReceipt
  /// Where it was leased from.
  public let reservoir: Reservoir

  private let lock = Lock()
  /// The open file, which holds the lock of a held lease; nil once an arena has it. Protected by `lock`.
  private nonisolated(unsafe) var file: OpenFile?

  init(_ receipt: LeaseReceipt, _ file: OpenFile, _ reservoir: Reservoir) {
    self.receipt = receipt
    self.reservoir = reservoir
    unsafe self.file = file
  }

  /// The open file's descriptor, close-on-exec. It is open as long as the object lives; a held lease lasts
  /// as long as it, or a duplicate of it in any process, is open. -1 once an arena has adopted the lease.
  public var descriptor: Int32 { lock.withLock { unsafe file?.descriptor ?? -1 } }

  /// Hands the open file over to who may have it alone; nil where somebody has it already.
  func takeFile() -> OpenFile? {
    lock.withLock {
      let taken = unsafe file
      unsafe file = nil
      return taken
    }
  }

  /// Undoes ``takeFile()``.
  func putBack(_ file: OpenFile) {
    lock.withLock { unsafe self.file = file }
  }
}

/// What a lease really is. The Codable form has byte counts as bare numbers.
public struct LeaseReceipt: Hashable, Sendable, Codable {
  /// The file, for the monitor.
  public var path: String
  public var name: String
  public var size: ByteCount
  public var pageSize: ByteCount
  /// The node that the memory was bound to when it was filled, or nil.
  public var node: NodeID?
  /// What was cut off a larger file and given back to the host.
  public var trimmed: ByteCount
  /// What was brought in now, behind a smaller file.
  public var grown: ByteCount
  /// Whether the lease ends with its lock.
  public var isHeld: Bool
  /// Whether nobody else had the file open when it was leased, which nobody can do afterwards: by the
  /// permissions, or proven by the kernel. False where the leaser can ask neither; then a member of the
  /// group might have opened it while it was ready.
  public var isExclusive: Bool
  /// What the waiting took.
  public var waitedSeconds: Double
  /// What the lease itself took.
  public var seconds: Double

  private enum CodingKeys: String, CodingKey {
    case path, name, node, isHeld, isExclusive, waitedSeconds, seconds
    case size = "sizeBytes"
    case pageSize = "pageBytes"
    case trimmed = "trimmedBytes"
    case grown = "grownBytes"
  }
}
