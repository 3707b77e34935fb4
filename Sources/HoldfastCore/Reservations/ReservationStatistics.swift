/// The number of reservations (`Reservation`: superpage blocks that faults fill with base pages),
/// and how earlier ones ended.
public struct ReservationStatistics: Hashable, Sendable {
  /// Reservations that are partly populated now.
  public internal(set) var partial = 0
  /// The pages of those that are not in use. An allocation that finds no free frame takes them.
  public internal(set) var unpopulated = PageCount.zero
  /// Reservations made so far.
  public internal(set) var reserved = 0
  /// Reservations that were filled and became superpages.
  public internal(set) var filled = 0
  /// Reservations that were broken, because of a shortage or because their pages moved.
  public internal(set) var broken = 0
  /// Reservations that became empty, so that their block was freed.
  public internal(set) var emptied = 0

  /// No reservations.
  public init() {}
}
