public import HoldfastCore
internal import SystemPackage

/// Serves the page faults of a guest's window: reads them from the window's userfaultfd, has the
/// address space resolve them, and wakes the faulting threads (FreeBSD: `vm_fault` for a trap).
///
/// At most one handler thread reads. It serves a fault that it read itself as long as another
/// thread is idle, and does not wake that one, because a wakeup would cost as much as the fault.
/// While it serves, an idle thread is woken to read only if that is needed: further faults were
/// read, the fault takes long (a page is zeroed, copied, paged in or waited for), or a mapping is
/// being moved. If no thread is idle another one is created; at the limit faults wait in a queue,
/// which threads serve as they finish, and the reader goes on reading.
///
/// Faults of several threads in one page at once are served once: all that wait there are woken,
/// and a fault that is read later finds the page resident. A fault that cannot be served is
/// reported, and its thread paused or refused; none is lost.
///
/// The handler's threads have all signals blocked. Safe to use from any thread.
public final class FaultHandler: Sendable {
  /// Decides about a fault that cannot be served. Called on a handler thread; calls for different
  /// faults may be concurrent.
  public typealias FailureHandler = @Sendable (FaultFailure) -> FaultResponse

  private let work: FaultHandlerThreads

  /// Starts two handler threads for a window.
  ///
  /// - Parameters:
  ///   - space: the address space whose pmap is the window.
  ///   - threadLimit: the largest number of handler threads; values below 2 count as 2.
  ///   - onFailure: the response to a fault that cannot be served. By default its thread is paused.
  /// - Throws: `HoldfastError` with code `invalidArgument` for an address space with another pmap,
  ///   and `host` if no thread can be created.
  public init(
    window: PagedWindow, space: AddressSpace, threadLimit: Int = 8,
    onFailure: @escaping FailureHandler = { _ in .pause }
  ) throws(HoldfastError) {
    guard space.pmap === window else {
      throw HoldfastError(
        .invalidArgument, operation: "start a thread that serves a guest's page faults",
        reason: "the address space has another window")
    }
    do throws(Errno) {
      work = try FaultHandlerThreads(
        window: window, space: space, threadLimit: max(2, threadLimit), onFailure: onFailure)
    } catch {
      throw HoldfastError(
        .host, operation: "start a thread that serves a guest's page faults",
        reason: "no thread can be created", errno: error.rawValue,
        advice: .raiseLimit("RLIMIT_NPROC (ulimit -u), or pids.max of the cgroup"))
    }
  }

  deinit {
    stop()
  }

  /// The statistics so far. Takes the handler's lock.
  public var statistics: FaultStatistics { work.statistics }

  /// The faults whose threads are paused. Takes the handler's lock.
  public var pausedFaults: [FaultFailure] { work.pausedFaults }

  /// Lets all paused threads repeat their access, because memory was mapped or freed since.
  public func retryPaused() { work.retryPaused() }

  /// Serves a page fault of a virtual processor on the calling thread, which then repeats the
  /// access. If that fails, a handler thread serves the page's next fault, and reports it.
  ///
  /// - Throws: as `AddressSpace.fault`.
  /// - Complexity: as `AddressSpace.fault`. Takes its locks, and the handler's.
  package func serve(_ address: Address, _ access: Protection) throws(HoldfastError) {
    try work.serve(address, access)
  }

  /// Waits until no fault is being served, for checks of the VM layer's state. Only meaningful
  /// while no thread accesses the window; paused threads do not count.
  package func waitUntilIdle() { work.waitUntilIdle() }

  /// Ends the guest's access to the window, then the threads, once they have served the faults that
  /// they are at. A thread that still accesses the window, or waits in it, gets SIGSEGV, a virtual
  /// processor EFAULT. A second call has no effect.
  public func stop() { work.stop() }
}
