public import HoldfastCore
internal import SystemPackage

/// Answers the faults of a guest's window: reads its userfaultfd, lets the address space see to the page,
/// and wakes who waits (FreeBSD: `vm_fault` for a trap).
///
/// One thread reads. As soon as it has a fault it lets another one read and serves the fault itself, so
/// that the way from the touch to its end has no further thread in it; there is always one that does
/// nothing but read, as `PagedWindow` needs. More threads are made when all are at work, up to a limit,
/// beyond which faults wait in a queue.
///
/// Faults of one page by several touchers at once are served once: all who wait there are woken, and who
/// comes too late finds the page there. A fault that cannot be served is reported, and its toucher paused
/// or refused; none is lost.
///
/// Its threads have all signals blocked. Safe to use from any thread.
public final class FaultHandler: Sendable {
  /// Decides about a fault that cannot be served. Called on a thread of the handler's, one at a time for
  /// any one fault, perhaps at once for several.
  public typealias FailureHandler = @Sendable (FaultFailure) -> FaultResponse

  private let work: FaultHandlerThreads

  /// Starts answering.
  ///
  /// - Parameters:
  ///   - space: whose pmap is the window.
  ///   - threadLimit: at most so many threads, at least 2.
  ///   - onFailure: by default every toucher whose fault cannot be served is paused.
  /// - Throws: `HoldfastError` where no thread can be made.
  public init(
    window: PagedWindow, space: AddressSpace, threadLimit: Int = 8,
    onFailure: @escaping FailureHandler = { _ in .pause }
  ) throws(HoldfastError) {
    precondition(space.pmap === window, "the address space has another window")
    do throws(Errno) {
      work = try FaultHandlerThreads(
        window: window, space: space, threadLimit: max(2, threadLimit), onFailure: onFailure)
    } catch {
      throw HoldfastError(
        .host, operation: "start a thread that answers a guest's faults",
        reason: "the host refused",
        errno: error.rawValue, advice: .other("raise RLIMIT_NPROC or the limit of threads"))
    }
  }

  deinit {
    stop()
  }

  /// What was done so far.
  public var statistics: FaultStatistics { work.statistics }

  /// The faults whose touchers are paused.
  public var pausedFaults: [FaultFailure] { work.pausedFaults }

  /// Lets all paused touchers try again: memory was mapped or freed since.
  public func retryPaused() { work.retryPaused() }

  /// Returns when no fault is being served any more, for checks of what they have changed. Nobody touches
  /// the window meanwhile; who is paused does not count.
  package func waitUntilIdle() { work.waitUntilIdle() }

  /// Takes the window from the guest and ends the threads, once they have done what they are at. Who still
  /// touches the window, or waits in it, gets SIGSEGV, or EFAULT in a virtual processor. Nothing happens
  /// the second time.
  public func stop() { work.stop() }
}
