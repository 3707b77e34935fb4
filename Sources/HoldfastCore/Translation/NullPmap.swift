/// A pmap that does nothing, for simulating hosts larger than this one and for measuring the VM
/// layer alone.
public final class NullPmap: Pmap {
  public init() {}

  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) {}

  public func remove(_ range: AddressRange) {}
  public func protect(_ range: AddressRange, _ protection: Protection) {}
  public func unwire(_ range: AddressRange) {}
}

/// A frame store without bytes, for use with `NullPmap`. Reads as zero.
public final class NullFrameStore: FrameStore {
  public init() {}

  public func zero(_ runs: [FrameRun]) {}
  public func copy(from source: FrameRun, to destination: Frame) {}

  public func read(
    _ frame: Frame, offset: ByteCount, into bytes: inout MutableRawSpan, _ range: Range<Int>
  ) {
    for index in range { bytes.storeBytes(of: 0, toByteOffset: index, as: UInt8.self) }
  }

  public func write(_ bytes: RawSpan, to frame: Frame, offset: ByteCount) {}
  public func zero(_ frame: Frame, offset: ByteCount, count: ByteCount) {}
  public func isZero(_ run: FrameRun) -> Bool { true }
}
