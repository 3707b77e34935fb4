internal import Synchronization

extension AddressSpace {
  /// Gives an entry that needs a copy an object of its own before the first write (FreeBSD:
  /// `vm_object_shadow` in `vm_map_lookup`): the object that it has, if that has no other
  /// reference, otherwise a shadow without pages. Needs the lock exclusive; no other operation has
  /// the entry in transition. With the lock held, waits for faults' copies into the old object
  /// (`waitForCopies`).
  ///
  /// - Complexity: O(1), plus collapsing the old chain.
  func copyOnWriteLocked(_ entry: MapEntry) {
    guard entry.needsCopy, let object = entry.object else { return }
    entry.needsCopy = false
    object.collapse()
    if object.claimIfAlone() { return }
    // A fault that began before the fork may be making a copy. When it finishes, it removes what
    // the object's mappings have entered of the page below, and this entry will not be one of them.
    object.waitForCopies()
    // Pages have the same position in superpages of the shadow as in those of the object.
    let pages = geometry.pages(in: entry.range.length)
    let head = geometry.head(at: entry.offset, count: pages)
    let shadow = object.makeShadow(
      size: head + pages, head: head, offset: PageCount(entry.offset.rawValue) - head)
    entry.withdraw()
    entry.object = shadow
    entry.offset = .zero + head
    entry.publish(pmap, geometry)
    memory.state.chainChanges.wrappingAdd(1, ordering: .sequentiallyConsistent)
  }

  /// Prepares the entry at an address for its first write. The caller looks the entry up again.
  /// Takes the lock exclusive.
  func prepareWrite(at address: Address) {
    lock.withExclusiveLock {
      guard let entry = entryLocked(at: address), entry.transition == nil,
        entry.protection.contains(.write)
      else { return }
      copyOnWriteLocked(entry)
    }
  }

  /// What the translations of all resident pages of an entry may allow: without writing where some
  /// page may be below the top object, so that a write to it faults.
  func allowedProtection(_ entry: MapEntry, _ protection: Protection) -> Protection {
    guard let object = entry.object else { return protection }
    return entry.needsCopy || !object.isPlain ? protection.subtracting(.write) : protection
  }
}
