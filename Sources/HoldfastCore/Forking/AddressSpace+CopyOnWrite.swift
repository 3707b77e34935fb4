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
    let superpage = PageCount.order(geometry.maximumOrder)
    let head = PageCount(entry.offset.rawValue % superpage.rawValue)
    let pages = geometry.pages(in: entry.range.length)
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

  /// Whether pages of a wired entry have to be copied when it becomes writable, because they must
  /// not fault later.
  func mustCopyAtOnce(_ entry: MapEntry, for protection: Protection) -> Bool {
    guard entry.isWired, protection.contains(.write), !entry.protection.contains(.write),
      let object = entry.object
    else { return false }
    return entry.needsCopy || !object.isPlain
  }

  /// Copies every page of a wired entry that is below its top object up; the wirings move to the
  /// copies. The entry is in transition, or the lock is held exclusive, for all of the copying.
  ///
  /// - Throws: `resourceShortage`. Pages that were copied before stay so.
  /// - Complexity: O(runs + pages copied).
  func copyPagesUp(_ entry: MapEntry) throws(HoldfastError) {
    guard let object = entry.object else { return }
    let pages = entry.pages(of: entry.range, geometry)
    var below: [PageRange] = []
    object.forEachTopmost(in: pages) { run, holder, _, _ in
      if holder !== object { below.append(run) }
    }
    for run in below {
      for number in run.start.rawValue..<run.end.rawValue {
        let index = PageIndex(number)
        do throws(HoldfastError) {
          try object.copyUp(index)
        } catch {
          let address = entry.range.start + geometry.bytes(index - pages.start)
          throw error.relocated(to: address)
        }
      }
    }
    if object.hidesBacking { object.collapse() }
  }
}
