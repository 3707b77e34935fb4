/// What one call of `AddressSpace.wire` did.
public struct WireSummary: Hashable, Sendable {
  /// Mapped pages of the range: all of them are wired now, by this call or already.
  public internal(set) var wiredPages = PageCount.zero
  /// Pages that were resident before, and kept their contents.
  public internal(set) var residentBefore = PageCount.zero
  /// New pages whose frames were zero when they were allocated.
  public internal(set) var zeroedAhead = PageCount.zero
  /// New pages whose frames were zeroed by this call.
  public internal(set) var zeroedNow = PageCount.zero
  /// New pages in smaller blocks than their alignment allows, because free memory is fragmented.
  public internal(set) var fragmented = PageCount.zero
  /// New pages that the fault path made one by one.
  public internal(set) var faulted = PageCount.zero
  /// New pages that are copies of pages of an object below.
  public internal(set) var copied = PageCount.zero
  /// Time for allocating frames and inserting them into objects.
  public internal(set) var allocating = Duration.zero
  /// Time for zeroing dirty frames and for copying pages of objects below.
  public internal(set) var zeroing = Duration.zero
  /// Time for entering translations; on the fault path for all that it does.
  public internal(set) var entering = Duration.zero
  /// Time for making the pages valid and ending their busy state.
  public internal(set) var finishing = Duration.zero

  /// Creates a summary of nothing.
  public init() {}
}
