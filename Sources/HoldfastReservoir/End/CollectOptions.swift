/// Options of a collection.
public struct CollectOptions: Hashable, Sendable {
  /// The age from which the call also collects plain leases that no process has open; nil for none.
  public var age: Duration?
  /// Whether to recycle orphans where the kernel proves that no process has them open. Otherwise
  /// their memory is returned to the host.
  public var recycles = true
  /// How to recycle.
  public var recycling = RecycleOptions()

  /// Creates options; the parameters are the properties.
  public init(age: Duration? = nil, recycles: Bool = true) {
    self.age = age
    self.recycles = recycles
  }
}
