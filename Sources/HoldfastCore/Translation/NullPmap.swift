/// A pmap that does nothing, to simulate hosts larger than this one and to measure the VM layer
/// alone.
public final class NullPmap: Pmap {
  /// Creates a pmap.
  public init() {}

  /// Does nothing.
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) {}

  /// Does nothing.
  public func remove(_ range: AddressRange) {}
  /// Does nothing.
  public func protect(_ range: AddressRange, _ protection: Protection) {}
  /// Does nothing.
  public func unwire(_ range: AddressRange) {}
}
