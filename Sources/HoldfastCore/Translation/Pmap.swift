/// The translations of one address space: what a guest really reaches (FreeBSD: `pmap`).
///
/// The VM layer decides and tells; a pmap only does. Calls on one pmap come one at a time for any
/// one range, but may come at once for ranges that do not overlap, and hold the address space's or
/// the object's lock or neither. An implementation has a lock of its own, the last in the order.
///
/// Only `enter` and `prepareToSplit` may fail. Whatever removing and protecting may need to split
/// translations has to be set aside by then, so that a superpage can be split with no memory free.
public protocol Pmap: AnyObject, Sendable {
  /// Makes `run` reachable from `address` on, at the largest page size that the alignment of both
  /// allows, in place of any translations that are there (FreeBSD: `pmap_enter`).
  ///
  /// - Parameters:
  ///   - wired: the translations must never fault until `unwire`.
  ///   - reach: the addresses from `address` on whose pages are about to be entered one by one from
  ///     frames beside these: a pmap may prepare them all at once. Nothing is entered there yet but
  ///     by the same reach; the frames are zero and nobody else's.
  /// - Throws: `HoldfastError` of code `resourceShortage` and the host's errno. What was entered before
  ///   may be left; the caller removes the range.
  func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError)

  /// All pages of a reach have been entered, or others in their place.
  func endReach(_ range: AddressRange)

  /// Sees to it that `remove` and `protect` of the range will succeed, whatever they have to split.
  ///
  /// - Throws: `HoldfastError` of code `resourceShortage`.
  func prepareToSplit(_ range: AddressRange) throws(HoldfastError)

  /// Takes all translations of the range away, wired or not (FreeBSD: `pmap_remove`). When it
  /// returns, nobody can reach the frames through this address space.
  func remove(_ range: AddressRange)

  /// Sets the protection of the translations that are there (FreeBSD: `pmap_protect`).
  func protect(_ range: AddressRange, _ protection: Protection)

  /// Makes the translations that are there effective again where the host dropped them for reasons of
  /// its own; makes none where there is none. A pmap whose host refills them by itself does nothing.
  func refresh(_ range: AddressRange)

  /// Clears the wired mark of the range, where every translation is wired; the translations stay
  /// (FreeBSD: `pmap_unwire`). A superpage of which a part is unwired is split.
  func unwire(_ range: AddressRange)
}

extension Pmap {
  public func endReach(_ range: AddressRange) {}
  public func refresh(_ range: AddressRange) {}
  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {}
}
