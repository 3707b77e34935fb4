public import HoldfastCore

extension GuestMemory {
  /// Makes the pages of a range resident and holds them, for device code that lets the kernel or a
  /// device access guest memory by references of its own: vmsplice(2), io_uring with fixed buffers,
  /// O_DIRECT, vhost, VFIO (FreeBSD: `vm_fault_quick_hold_pages`; Linux: pin_user_pages(9)).
  ///
  /// Call it before such an access is submitted, and `HeldPages.release` when it has completed. Not
  /// before: the kernel keeps references to the frames that Holdfast cannot see, so after `unmap`,
  /// `compact` or the end of the guest another guest's bytes could be in a frame that the device
  /// still reads or writes. While pages are held, compaction does not move them, a fork leaves them
  /// to this guest and copies them for the child, and if they are unmapped no guest gets their
  /// frames. An access that is complete when its call returns, such as read(2) into guest memory,
  /// needs no hold.
  ///
  /// - Parameters:
  ///   - range: whole pages, all of them mapped.
  ///   - access: what the device will do; the mapping must allow it.
  /// - Returns: the hold, which also ends with its last reference. End it before the guest.
  /// - Throws: code `invalidArgument` for an unaligned range; `invalidAddress` where a part is not
  ///   mapped; `protectionFailure` where the mapping does not allow the access; `resourceShortage`
  ///   without frames; `pagerFailure` where a snapshot cannot be read. Nothing is held then.
  /// - Complexity: O(superpages), plus the pages that have to be made. Takes the address space's
  ///   lock shared, and exclusively for the first access to a mapping.
  public func hold(
    _ range: AddressRange, for access: Protection
  ) throws(HoldfastError) -> HeldPages {
    // A device may write to pages that are not entered.
    leaveToHandlerThreads(range)
    do {
      return try space.hold(range, for: access)
    } catch {
      throw error.during("hold \(range.length) at \(range.start)", range: range)
    }
  }
}
