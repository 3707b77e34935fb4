/// Options of a collection.
public struct CollectOptions: Hashable, Sendable {
  /// The age from which the call also collects plain leases that no process has open; nil for none.
  public var age: Duration?
  /// By how much the wall clock was set forward while the caller ran. It makes leases older of which
  /// only that clock says when they were made.
  package var clockAdvance = Duration.zero
  /// The time after which the call begins no other file; nil for no limit. A service that fills as
  /// well collects for a while at a time.
  package var limit: Duration?
  /// What becomes of the memory of orphans, and how.
  public var recycling = RecycleOptions()

  /// Creates options; the parameters are the properties.
  public init(age: Duration? = nil, reuse: Reuse = .fresh) {
    self.age = age
    recycling.reuse = reuse
  }
}
