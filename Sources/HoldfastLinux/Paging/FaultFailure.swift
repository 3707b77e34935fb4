public import HoldfastCore

/// A fault of a guest that could not be served.
public struct FaultFailure: Sendable {
  /// The guest's page.
  public let address: Address
  /// What the guest tried.
  public let access: Protection
  /// The thread that touched, as gettid(2) has it: a virtual processor's, or one of a device model.
  public let thread: Int32
  /// Why not: nothing is mapped, the access is not allowed, no frame is left, the pager failed.
  public let error: HoldfastError
}

/// What is to become of a toucher whose fault cannot be served.
public enum FaultResponse: Hashable, Sendable {
  /// It goes on waiting, until `FaultHandler.retryPaused`, or a signal for its thread.
  case pause
  /// It tries again at once: the owner has mended the cause.
  case retry
  /// Its access fails: a virtual processor's KVM_RUN with EFAULT, a thread of this process with SIGSEGV.
  /// Whoever touches the page later fails too, until something is entered there. A page that is wired
  /// is left as it is, and the toucher paused.
  case refuse
}

/// What a `FaultHandler` has done so far.
public struct FaultStatistics: Hashable, Sendable {
  /// Faults taken for pages that could not be reached.
  public var demandFaults: UInt64 = 0
  /// Faults taken for writes to pages that could only be read.
  public var copyFaults: UInt64 = 0
  /// Pages brought in, by where they came from: new ones of zeros, copies of shared ones, a pager's.
  public var zeroedFaults: UInt64 = 0
  public var copiedFaults: UInt64 = 0
  public var pagedFaults: UInt64 = 0
  /// Faults that could not be served, however often the same was tried.
  public var failures: UInt64 = 0
  /// The largest number of threads that have been at work at once.
  public var threads = 0
}
