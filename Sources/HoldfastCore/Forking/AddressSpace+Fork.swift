extension AddressSpace {
  /// Creates a child's address space with the same ranges (FreeBSD: `vmspace_fork`; Linux:
  /// fork(2)). By each entry's inheritance the child shares the memory, gets a copy, or gets
  /// nothing. Copies are made when either side writes: the parent's translations lose the
  /// permission to write, and the child has none yet. Entries that map the same pages of an object
  /// do so in the child too, of an object of the child's own.
  ///
  /// A wired entry must not fault, so its pages are copied at once. What a guest writes to such
  /// pages meanwhile may or may not be in the copy: stop the guest for a copy of one moment.
  /// Nothing of the child is wired. Waits for entries in transition, and for wires of the same
  /// objects in other address spaces.
  ///
  /// - Parameter pmap: the child's pmap, without translations.
  /// - Throws: `invalidArgument` for placed memory (`PhysicalMemory.placed`); `resourceShortage`
  ///   without frames for the copies, where the pmap cannot split a translation at the end of an
  ///   entry, where the host has refused to end the access of a guest of the same memory, or where
  ///   1,024 generations of forks live. There is no child then, and the parent's contents, wirings
  ///   and protections are unchanged.
  /// - Complexity: O(entries), plus the pages of wired entries. Takes the lock exclusive, but not
  ///   while it copies, except what other address spaces wire meanwhile.
  public func fork(pmap childPmap: any Pmap) throws(HoldfastError) -> AddressSpace {
    try during("fork the address space") { () throws(HoldfastError) in
      try child(pmap: childPmap)
    }
  }

  /// An object of which a child inherits copies of some pages, while a fork is under way.
  private struct Source {
    let object: MemoryObject
    var parts: [MemoryObject.Inherited]
    /// The child's object, with copies of wired pages.
    var child: MemoryObject?
    /// Whether the pages are frozen, so that the child's object shows them.
    var isFrozen = false
  }

  private func child(pmap childPmap: any Pmap) throws(HoldfastError) -> AddressSpace {
    guard !memory.isPlaced else {
      throw HoldfastError(
        .invalidArgument, "placed memory cannot be shared with a child",
        advice: .useBacking(Backing.withFile))
    }
    // A guest whose access the host refused to end may write to frames that the child would show.
    if memory.allocator.isClosed { throw memory.shortage }
    var sources: [ObjectIdentifier: Source] = [:]
    defer {
      for source in sources.values {
        if source.isFrozen { source.child?.release() } else { source.child?.discardChild() }
      }
    }
    lock.lockExclusive()
    defer { lock.unlock() }
    try copyWiredLocked(&sources)
    let child = try AddressSpace(
      bounds: bounds, memory: memory, pmap: childPmap, wiredLimit: wiredLimit,
      faultGranularity: faultGranularity)
    try entries.visitAll { (entry) throws(HoldfastError) in
      if entry.inheritance == .none { return }
      // No other thread knows the child yet, so its lock is not needed. Where a later entry fails,
      // the child ends with all that it has.
      let copy = MapEntry(
        range: entry.range, object: nil, offset: .zero, protection: entry.protection,
        maximumProtection: entry.maximumProtection, inheritance: entry.inheritance)
      child.entries.insert(copy)
      if entry.inheritance == .share {
        shareLocked(entry, with: copy)
      } else if let object = entry.object {
        copy.object = try inheritedLocked(object, entry, &sources)
        copy.offset = entry.offset
        copy.needsCopy = entry.needsCopy
      }
      copy.publish(childPmap, geometry)
    }
    return child
  }

  /// Copies the pages that the child inherits and that are wired, and waits for those that are
  /// busy, with the lock unlocked, until no entry is in transition and nothing is left to be done.
  private func copyWiredLocked(
    _ sources: inout [ObjectIdentifier: Source]
  ) throws(HoldfastError) {
    while true {
      while entriesInTransition > 0 { waitForTransitionLocked(exclusive: true) }
      findSourcesLocked(&sources)
      // In ascending order, so that the error for want of frames has the first address.
      let waiting = sources.values.filter { source in
        !source.parts.isEmpty && source.object.mustCopyOrWait(source.parts, source.child)
      }.sorted { $0.parts[0].start < $1.parts[0].start }
      if waiting.isEmpty { return }
      for source in waiting { source.object.retain() }
      lock.unlock()
      defer {
        for source in waiting { source.object.release() }
        lock.lockExclusive()
      }
      for source in waiting {
        let child = source.child ?? source.object.makeChild()
        sources[ObjectIdentifier(source.object)]?.child = child
        try source.object.prepareToFreeze(source.parts, for: child)
      }
    }
  }

  /// Finds the objects whose pages the child gets copies of. Copies that were made stay.
  private func findSourcesLocked(_ sources: inout [ObjectIdentifier: Source]) {
    for key in sources.keys { sources[key]?.parts = [] }
    entries.visitAll { entry in
      guard entry.inheritance == .copy, !entry.needsCopy, let object = entry.object else { return }
      let part = MemoryObject.Inherited(
        pages: entry.pages(of: entry.range, geometry), start: entry.range.start)
      sources[ObjectIdentifier(object), default: Source(object: object, parts: [])].parts
        .append(part)
    }
  }

  private func shareLocked(_ entry: MapEntry, with copy: MapEntry) {
    // Both sides share the copies, so these belong to one object.
    copyOnWriteLocked(entry)
    let shared = objectLocked(entry)
    shared.retain()
    shared.share()
    copy.object = shared
    copy.offset = entry.offset
  }

  /// The object that the child's copy of an entry maps, with a reference for it.
  private func inheritedLocked(
    _ object: MemoryObject, _ entry: MapEntry, _ sources: inout [ObjectIdentifier: Source]
  ) throws(HoldfastError) -> MemoryObject {
    if entry.needsCopy {
      object.retain()
      object.share()
      return object
    }
    let key = ObjectIdentifier(object)
    guard let source = sources[key] else { preconditionFailure("an entry's object is missing") }
    let child = source.child ?? object.makeChild()
    sources[key]?.child = child
    if !source.isFrozen {
      // Chains that could not be shortened when a child ended, because a page was busy.
      object.collapse()
      try object.freeze(source.parts, for: child)
      sources[key]?.isFrozen = true
    }
    child.retain()
    return child
  }
}
