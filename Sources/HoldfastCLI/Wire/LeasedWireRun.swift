internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// One run of `holdfast wire --from-reservoir`. The lease ends with its lock, so that `gc` collects it where
/// the program is ended from outside.
struct LeasedWireRun {
  let memory: ByteCount
  let path: GuestMemory.WirePath
  let requireLocked: Bool
  let checkInvariants: Bool
  let threads: Int?

  /// What became of the lease, told by the arena's end.
  private final class End: Sendable {
    private let lock = Lock()
    // Protected by `lock`.
    private nonisolated(unsafe) var kept: Result<LeaseEnd, HoldfastError>?

    var result: Result<LeaseEnd, HoldfastError>? {
      get { lock.withLock { unsafe kept } }
      set { lock.withLock { unsafe kept = newValue } }
    }
  }

  func perform(on reservoir: Reservoir) throws -> WireResult {
    let progress = ProgressBar()
    progress.start()
    defer { progress.finish() }
    var request = LeaseRequest(size: memory)
    request.isHeld = true
    let lease = try reservoir.lease(request)
    let end = End()
    let (result, start) = try wire(lease, progress, end)
    let seconds = (ContinuousClock.now - start).seconds
    // The arena is gone with `wire`, so its lease has ended.
    guard let outcome = end.result else {
      throw CLIError("the lease '\(lease.receipt.name)' has not ended; try: holdfast reservoir gc")
    }
    let ended = try outcome.get()
    return result.leased(
      WireResult.Lease(
        path: lease.receipt.path, seconds: lease.receipt.seconds, end: ended,
        endSeconds: seconds, sentence: ended.description))
  }

  /// Wires and verifies; nothing of the arena outlives the call.
  ///
  /// - Returns: the result, and when the giving back began.
  private func wire(
    _ lease: Lease, _ progress: ProgressBar, _ end: End
  ) throws -> (WireResult, ContinuousClock.Instant) {
    let host = HostProbe().host()
    let arena: Arena
    do throws(HoldfastError) {
      arena = try Arena(adopting: lease, host: host, threads: threads) { end.result = $0 }
    } catch {
      // A held lease ends with this program; `gc` collects it.
      throw CLIError("\(error); moreover run: holdfast reservoir gc")
    }
    let guest = WiredGuest(
      memory: memory, path: path, requireLocked: requireLocked, checkInvariants: checkInvariants)
    let result = try guest.wire(on: arena, host, progress, reserved: nil, isAutomatic: true)
    progress.begin("giving the memory back")
    return (result, .now)
  }
}
