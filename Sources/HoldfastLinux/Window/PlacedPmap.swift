public import HoldfastCore

/// The window of a guest that is placed in the arena's own mapping: it needs no other, or the arena's
/// memory is private and has no file to map a second time. The guest's frames are consecutive, in
/// the order of its addresses, so entering a page only checks that, and no system call is made.
///
/// The whole window is readable and writable at any time: no translation can be missing or
/// protected. So none of its frames may be shared, and when the guest is gone all of them count as
/// dirty (`PhysicalMemory.placed`).
public final class PlacedPmap: GuestWindow {
  /// The arena that the window is a part of.
  package let arena: Arena
  /// The guest's part of the arena's mapping.
  package let hostRange: HostRange
  /// Nil: nothing has to be installed.
  package var userFaultProblem: String? { nil }
  /// True: the arena's mapping has its huge pages from the start.
  package var isAlwaysWhole: Bool { true }

  /// The frame of guest address 0.
  private let start: Frame
  private let lock = Lock()
  /// The pages that are entered. Protected by `lock`.
  private nonisolated(unsafe) var extents = WindowExtents()

  /// Creates the window.
  ///
  /// - Parameters:
  ///   - start: the frame of guest address 0; the `length` bytes from there are the guest's alone.
  ///   - length: one past the last guest address.
  package init(arena: Arena, start: Frame, length: ByteCount) {
    self.arena = arena
    self.start = start
    hostRange = arena.directMap.range.part(
      arena.geometry.bytes(start - Frame(0)), length: length)
  }

  /// Checks that the run is the one that the address has.
  ///
  /// - Throws: code `resourceShortage` if it is not.
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    guard run.start == start + arena.geometry.pages(in: address - .zero) else {
      throw HoldfastError(
        .resourceShortage, at: address, "the frame of this address is in use elsewhere")
    }
    let part = range(AddressRange(from: address, to: address + arena.geometry.bytes(run.count)))
    precondition(part.upperBound <= hostRange.length.rawValue, "a page outside of the window")
    let delta = arena.geometry.bytes(start - Frame(0)).rawValue
    lock.withLock {
      unsafe extents.insert(
        WindowExtents.Extent(range: part, delta: delta, protection: protection))
    }
  }

  /// Records the removal; the pages stay accessible.
  public func remove(_ range: AddressRange) {
    lock.withLock { unsafe extents.remove(self.range(range)) }
  }

  /// Records the protection, which is not enforced.
  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: self.range(range)) {
        part.protection = protection
        unsafe extents.insert(part)
      }
    }
  }

  /// Does nothing: the frames never leave the arena.
  public func unwire(_ range: AddressRange) {}

  /// Calls `body` with each run of pages that is entered. Takes the window's lock.
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
