extension AddressSpace {
  /// Creates a child's address space with the same ranges (FreeBSD: `vmspace_fork`; Linux:
  /// fork(2)). By each entry's inheritance the child shares the memory, gets a copy, or gets
  /// nothing. Copies are made when either side writes: the parent's translations lose the
  /// permission to write, and the child has none yet.
  ///
  /// A wired writable entry must not fault, so its pages are copied at once. What a guest writes to
  /// such pages meanwhile may or may not be in the copy: stop the guest for a copy of one moment.
  /// Nothing of the child is wired. Waits for entries in transition.
  ///
  /// - Parameter pmap: the child's pmap, without translations.
  /// - Throws: `invalidArgument` for placed memory (`PhysicalMemory.placed`); `resourceShortage`
  ///   without frames for the copies, or where the pmap cannot split a translation at the end of an
  ///   entry. There is no child then, and the parent's contents, wirings and protections are
  ///   unchanged.
  /// - Complexity: O(entries), plus the pages of wired writable entries and of wired entries that
  ///   need a copy and are shared with the child. Holds the lock exclusive while it copies these,
  ///   and waits with it for pages among them that another thread copies from.
  public func fork(pmap childPmap: any Pmap) throws(HoldfastError) -> AddressSpace {
    try during("fork the address space") { () throws(HoldfastError) in
      try child(pmap: childPmap)
    }
  }

  private func child(pmap childPmap: any Pmap) throws(HoldfastError) -> AddressSpace {
    guard !memory.isPlaced else {
      throw HoldfastError(
        .invalidArgument, "placed memory cannot be shared with a child",
        advice: .useBacking(Backing.withFile))
    }
    lock.lockExclusive()
    defer { lock.unlock() }
    while entries.contains(where: { $0.transition != nil }) {
      waitForTransitionLocked(exclusive: true)
    }
    let child = AddressSpace(
      bounds: bounds, memory: memory, pmap: childPmap, wiredLimit: wiredLimit,
      faultGranularity: faultGranularity)
    for entry in entries where entry.inheritance != .none {
      // No other thread knows the child yet, so its lock is not needed. Where a later entry fails,
      // the child ends with all that it has.
      let copy = MapEntry(
        range: entry.range, object: nil, offset: .zero, protection: entry.protection,
        maximumProtection: entry.maximumProtection, inheritance: entry.inheritance)
      child.entries.append(copy)
      if entry.inheritance == .share {
        try shareLocked(entry, with: copy)
      } else if entry.object != nil {
        try inheritCopyLocked(entry, copy)
      }
      copy.publish(childPmap, geometry)
    }
    return child
  }

  private func shareLocked(_ entry: MapEntry, with copy: MapEntry) throws(HoldfastError) {
    let object = objectLocked(entry)
    if entry.needsCopy {
      // Both sides share the copies, so these belong to one object. Wired pages must be in it
      // before another mapping can put pages above them.
      copyOnWriteLocked(entry)
      if entry.isWired { try copyPagesUp(entry) }
    }
    let shared = entry.object ?? object
    shared.retain()
    shared.share()
    copy.object = shared
    copy.offset = entry.offset
  }

  private func inheritCopyLocked(_ entry: MapEntry, _ copy: MapEntry) throws(HoldfastError) {
    guard let object = entry.object else { return }
    if entry.isWired, entry.protection.contains(.write) {
      try copyEagerlyLocked(entry, copy)
      return
    }
    if !entry.needsCopy, entry.protection.contains(.write) {
      try pmap.prepareToSplit(entry.range)
    }
    object.retain()
    object.share()
    copy.object = object
    copy.offset = entry.offset
    copy.needsCopy = true
    guard !entry.needsCopy else { return }
    entry.needsCopy = true
    if entry.protection.contains(.write) {
      pmap.protect(entry.range, entry.protection.subtracting(.write))
    }
  }

  /// Gives the child an object of its own with copies of a wired entry's pages.
  private func copyEagerlyLocked(_ entry: MapEntry, _ copy: MapEntry) throws(HoldfastError) {
    guard let object = entry.object else { return }
    let target = giveObject(to: copy, like: entry)
    let source = entry.pages(of: entry.range, geometry)
    let copied = copy.pages(of: copy.range, geometry)
    var index = source.start
    while index < source.end {
      let claim = try object.withChain(index, in: PageRange(index, source.end)) { $0 }
      guard case .resident(let page) = claim else {
        // Busy as the source of another copy, which needs no lock of an address space to finish.
        guard case .busy = claim else { preconditionFailure("a wired page is missing") }
        try object.advance(claim)
        continue
      }
      // Wired pages stay where they are, without the object's lock.
      let run = FrameRun(page.state.frame, page.range.end - index)
      do throws(HoldfastError) {
        try target.fill(copied.start + (index - source.start), from: run)
      } catch {
        throw error.at(entry.range.start + geometry.bytes(index - source.start))
      }
      index = index + run.count
    }
  }

  /// Gives the child's entry a private object, in which pages have the same position in superpages
  /// as in the parent's.
  private func giveObject(to copy: MapEntry, like entry: MapEntry) -> MemoryObject {
    let head = PageCount(entry.offset.rawValue % PageCount.order(geometry.maximumOrder).rawValue)
    let object = MemoryObject(
      memory: memory, size: head + geometry.pages(in: entry.range.length), head: head,
      isPrivate: true)
    copy.object = object
    copy.offset = .zero + head
    return object
  }
}

extension MemoryObject {
  /// Makes absent pages resident as copies of frames, in the largest free blocks. No other thread
  /// knows the object.
  fileprivate func fill(_ index: PageIndex, from source: FrameRun) throws(HoldfastError) {
    var done = PageCount.zero
    while done < source.count {
      let order = memory.geometry.largestOrder(at: index + done, limit: source.count - done)
      var dirty: [FrameRun] = []
      guard let block = memory.allocateLargest(order: order, dirty: &dirty) else {
        throw HoldfastError(.resourceShortage, "no free frame is left")
      }
      memory.store.copy(
        from: FrameRun(source.start + done, block.run.count), to: block.run.start)
      let state = PageState(frame: block.run.start, isValid: true, isBusy: false)
      lock.withLock { pages.insert(block.run.count, at: index + done, state) }
      done += block.run.count
    }
  }
}
