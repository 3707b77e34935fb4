internal import Synchronization

extension AddressSpace {
  /// Gives an entry that needs a copy an object of its own before the first write (FreeBSD:
  /// `vm_object_shadow` in `vm_map_lookup`): the one it has if nobody else refers to that, else a
  /// shadow without pages. Needs the lock exclusive; the entry is settled or the caller's.
  ///
  /// - Complexity: O(1), plus what collapsing the old chain takes.
  func copyOnWriteLocked(_ entry: MapEntry) {
    guard entry.needsCopy, let object = entry.object else { return }
    entry.needsCopy = false
    object.collapse(waits: false)
    if object.claimIfAlone() { return }
    // A fault of before the fork may be at work on a copy. When that is there it takes away what the
    // object's mappings have entered of the page below, and this entry will be none of them.
    object.waitForCopies()
    // Pages lie in the shadow as they do in superpages of the object.
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

  /// Before a write to an entry that needs a copy. The caller looks everything up again.
  func prepareWrite(at address: Address) {
    lock.withExclusiveLock {
      guard let entry = entryLocked(at: address), entry.transition == nil,
        entry.protection.contains(.write)
      else { return }
      copyOnWriteLocked(entry)
    }
  }

  /// What translations of an entry's resident pages may allow as long as it is not known in which
  /// object of the chain they are: a write to one below has to fault.
  func allowedProtection(_ entry: MapEntry, _ protection: Protection) -> Protection {
    guard let object = entry.object else { return protection }
    return entry.needsCopy || !object.isPlain ? protection.subtracting(.write) : protection
  }

  /// Whether a wired entry's pages have to be copied at once when it becomes writable, because they
  /// may not fault later.
  func mustCopyAtOnce(_ entry: MapEntry, for protection: Protection) -> Bool {
    guard entry.isWired, protection.contains(.write), !entry.protection.contains(.write),
      let object = entry.object
    else { return false }
    return entry.needsCopy || !object.isPlain
  }

  /// Copies every page of a wired entry that lies below its own object up; the wirings move to the
  /// copies. The entry is in transition or the lock held exclusive.
  ///
  /// - Throws: resourceShortage. Pages that were copied before stay so.
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
          throw error.at(address)
        }
      }
    }
    if object.hidesBacking { object.collapse(waits: false) }
  }
}
