public import HoldfastCore

/// A page fault of a guest that could not be served.
public struct FaultFailure: Sendable {
  /// The guest page, rounded down to the arena's base page.
  public let address: Address
  /// What the guest attempted.
  public let access: Protection
  /// The faulting thread, as gettid(2) numbers it: a virtual processor's, or one of a device model.
  public let thread: Int32
  /// Why the fault cannot be served: nothing is mapped, the access is not allowed, no frame is
  /// free, the pager failed.
  public let error: HoldfastError
}

/// What becomes of a faulting thread whose fault cannot be served.
public enum FaultResponse: Hashable, Sendable {
  /// The thread keeps waiting, until `FaultHandler.retryPaused` or a signal for it.
  case pause
  /// The thread repeats its access at once, because the cause is gone.
  case retry
  /// The access fails: KVM_RUN of a virtual processor with EFAULT, a thread of this process with
  /// SIGSEGV. So does every later access to the page, until something is entered there. A wired
  /// page is left as it is, and the thread paused.
  case refuse
}
