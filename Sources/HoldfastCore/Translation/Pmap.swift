/// The translations of one address space: what a guest really reaches (FreeBSD: `pmap`).
///
/// The VM layer decides and tells; a pmap only does. Calls on one pmap come one at a time for any
/// one range, but may come at once for ranges that do not overlap, and hold the address space's or
/// the object's lock or neither. An implementation has a lock of its own, the last in the order.
///
/// Only `enter` may fail. Whatever removing, protecting or splitting may need has to be set aside
/// when the translation is entered, so that a superpage can be split with no memory free.
public protocol Pmap: AnyObject, Sendable {
  /// Makes `run` reachable from `address` on, at the largest page size that the alignment of both
  /// allows, in place of any translations that are there (FreeBSD: `pmap_enter`).
  ///
  /// - Parameters:
  ///   - wired: the translations must never fault until `unwire`.
  ///   - reach: the addresses, `address` among them, whose pages are about to be entered one by
  ///     one from frames beside these: a pmap may prepare them all at once. The frames are zero and
  ///     nobody else's.
  /// - Throws: `VMError` of code `resourceShortage` and the host's errno. What was entered before
  ///   may be left; the caller removes the range.
  func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(VMError)

  /// Takes all translations of the range away, wired or not (FreeBSD: `pmap_remove`). When it
  /// returns, nobody can reach the frames through this address space.
  func remove(_ range: AddressRange)

  /// Sets the protection of the translations that are there (FreeBSD: `pmap_protect`).
  func protect(_ range: AddressRange, _ protection: Protection)

  /// Clears the wired mark of the range, where every translation is wired; the translations stay
  /// (FreeBSD: `pmap_unwire`). A superpage of which a part is unwired is split.
  func unwire(_ range: AddressRange)
}
