/// How many reservations there are, and what has become of those that were.
public struct ReservationStatistics: Hashable, Sendable {
  /// Reservations that are partly populated now.
  public internal(set) var partial = 0
  /// Pages of those that hold nothing: free to whoever needs them.
  public internal(set) var unpopulated = PageCount.zero
  /// Reservations made so far.
  public internal(set) var reserved = 0
  /// Those that were filled and became superpages.
  public internal(set) var filled = 0
  /// Those that were broken, under pressure or because their pages moved out of place.
  public internal(set) var broken = 0
  /// Those whose last page went, so that the block was free again.
  public internal(set) var emptied = 0

  public init() {}
}
