public import HoldfastCore

/// The window of a guest that is placed in the arena's own mapping, where there is no file that another
/// one could be made of: frames lie as guest addresses do, so to enter a page is to check that, and the
/// kernel does nothing.
///
/// All of the window can be reached at any time, and written to: there are no translations that could
/// be missing or protected. So nothing of it may be shared with others, and when the guest is gone all
/// of its frames count as dirty (`PhysicalMemory.placed`).
public final class PlacedPmap: GuestWindow {
  package let arena: Arena
  package let hostRange: HostRange
  package var userFaultProblem: String? { nil }
  package var isAlwaysWhole: Bool { true }

  /// The frame of guest address 0.
  private let start: Frame
  private let lock = Lock()
  /// What is entered. Protected by `lock`.
  private nonisolated(unsafe) var extents = WindowExtents()

  /// - Parameters:
  ///   - start: the frame of guest address 0, with those that follow the guest's own.
  ///   - length: how far guest addresses go.
  package init(arena: Arena, start: Frame, length: ByteCount) {
    self.arena = arena
    self.start = start
    hostRange = arena.directMap.range.part(
      arena.geometry.bytes(start - Frame(0)), length: length)
  }

  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    guard run.start == start + arena.geometry.pages(in: address - .zero) else {
      throw HoldfastError(
        .resourceShortage, at: address, "the frame that lies at this address is used elsewhere")
    }
    let part = range(AddressRange(address, address + arena.geometry.bytes(run.count)))
    precondition(part.upperBound <= hostRange.length.rawValue, "a page outside of the window")
    let delta = arena.geometry.bytes(start - Frame(0)).rawValue
    lock.withLock {
      unsafe extents.insert(
        WindowExtents.Extent(range: part, delta: delta, isTrapped: false, protection: protection))
    }
  }

  public func remove(_ range: AddressRange) {
    lock.withLock { unsafe extents.remove(self.range(range)) }
  }

  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: self.range(range)) {
        part.protection = protection
        unsafe extents.insert(part)
      }
    }
  }

  public func unwire(_ range: AddressRange) {}

  public func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
  {
    let geometry = arena.geometry
    for extent in lock.withLock({ unsafe extents.all }) {
      let address = Address(extent.range.lowerBound)
      let count = geometry.pages(in: ByteCount(UInt64(extent.range.count)))
      let frames = FrameRun(start + geometry.pages(in: address - .zero), count)
      body(address, frames, extent.protection, nil)
    }
  }

  private func range(_ range: AddressRange) -> Range<UInt64> {
    range.start.rawValue..<range.end.rawValue
  }
}
