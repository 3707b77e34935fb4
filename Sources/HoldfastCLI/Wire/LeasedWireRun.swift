internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

/// One run of `holdfast wire --from-reservoir`. The lease ends with its lock, so that `gc` collects
/// it if the program is killed.
struct LeasedWireRun {
  let memory: ByteCount
  let path: GuestMemory.WirePath
  let requireLocked: Bool
  let checkInvariants: Bool
  let threads: Int?

  /// What became of the lease, set when the arena is freed.
  private final class LeaseOutcome: Sendable {
    private let lock = Lock()
    // Protected by `lock`.
    private nonisolated(unsafe) var kept: Result<LeaseEnd, HoldfastError>?

    var result: Result<LeaseEnd, HoldfastError>? {
      get { lock.withLock { unsafe kept } }
      set { lock.withLock { unsafe kept = newValue } }
    }
  }

  func perform(on reservoir: ReservoirAccess) throws -> WireResult {
    let progress = ProgressBar()
    progress.start()
    defer { progress.finish() }
    var request = LeaseRequest(size: memory)
    request.isHeld = true
    let lease: Lease
    do throws(HoldfastError) {
      lease = try reservoir.lease(request)
    } catch {
      throw CLIError(AdviceText.line(error, canWait: false))
    }
    let outcome = LeaseOutcome()
    let (result, start) = try wire(lease, progress, outcome)
    let seconds = (Instant.now - start).seconds
    // `wire` has freed the arena, which ended its lease.
    guard let ended = try outcome.result?.get() else {
      throw CLIError("the lease '\(lease.receipt.name)' has not ended; try: holdfast reservoir gc")
    }
    return result.leased(
      WireResult.Lease(receipt: lease.receipt, end: ended, endSeconds: seconds))
  }

  /// Wires and verifies, and frees the arena.
  ///
  /// - Returns: the result, and when freeing the arena began.
  private func wire(
    _ lease: Lease, _ progress: ProgressBar, _ outcome: LeaseOutcome
  ) throws -> (WireResult, Instant) {
    let host = HostProbe().host()
    let arena: Arena
    do throws(HoldfastError) {
      arena = try Arena(adopting: lease, host: host, threads: threads) { outcome.result = $0 }
    } catch {
      // This program holds the lease and ends now; `gc` collects it.
      throw CLIError(AdviceText.line(error) + "; then run: holdfast reservoir gc")
    }
    let guest = WiredGuest(
      memory: memory, path: path, requireLocked: requireLocked, checkInvariants: checkInvariants)
    let result = try guest.wire(on: arena, host, progress, reserved: nil, isAutomatic: true)
    progress.begin("ending the lease")
    return (result, .now)
  }
}
