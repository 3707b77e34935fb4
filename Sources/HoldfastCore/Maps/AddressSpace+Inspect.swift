extension AddressSpace {
  /// The top object of the mapping at an address, for tests. Takes the lock shared.
  package func object(at address: Address) -> MemoryObject? {
    lock.withSharedLock { entryLocked(at: address)?.object }
  }

  /// Whether an address is mapped and its entry wired. Takes the lock shared.
  ///
  /// - Complexity: O(log entries).
  public func isWired(_ address: Address) -> Bool {
    lock.withSharedLock { entryLocked(at: address)?.isWired ?? false }
  }

  /// Whether a range begins or ends inside of a mapping. Takes the lock shared.
  ///
  /// - Complexity: O(log entries).
  package func splitsEntry(_ range: AddressRange) -> Bool {
    lock.withSharedLock {
      [range.start, range.end].contains { address in
        entryLocked(at: address).map { $0.range.start < address } ?? false
      }
    }
  }

  /// The size of the entries' tree and records. That of the objects, which other address spaces may share,
  /// is `MemoryObject.metadata`. Takes the lock shared.
  public var metadata: ByteCount {
    lock.withSharedLock {
      entries.metadata + ByteCount(UInt64(entries.count * MapEntry.metadataBytes))
    }
  }

  /// Calls `body` with the objects of each entry's chain, from the top down; an object of several
  /// chains comes several times. Takes the lock shared and the objects' in turn.
  package func forEachObject(_ body: (MemoryObject) -> Void) {
    lock.withSharedLock {
      entries.visitAll { $0.object?.chain.forEach(body) }
    }
  }

  /// Calls `body` with each run of resident pages that is mapped in a range: its address, its
  /// frames and its first page's state, in ascending order, cut to the range and to superpage slots
  /// (Linux: mincore(2)). Takes the lock shared and the objects' in turn; `body` must not call the
  /// address space or its objects.
  ///
  /// - Complexity: O(log entries + entries of the range + superpage slots of the range · objects of
  ///   the chains).
  public func forEachResident(
    in range: AddressRange, _ body: (Address, FrameRun, PageState) -> Void
  ) {
    lock.withSharedLock {
      entries.visit(in: range) { entry in
        guard let object = entry.object else { return }
        let part = entry.range.clamped(to: range)
        let pages = entry.pages(of: part, geometry)
        object.forEachTopmost(in: pages) { run, _, _, state in
          body(
            part.start + geometry.bytes(run.start - pages.start),
            FrameRun(state.frame, run.count), state)
        }
      }
    }
  }

  /// How many pages of a range are resident, and how many of these are shared: other entries can
  /// reach their object too. Takes the lock shared and the objects' in turn.
  ///
  /// - Complexity: as `forEachResident`.
  public func residency(
    in range: AddressRange
  ) -> (resident: PageCount, shared: PageCount) {
    var resident = PageCount.zero
    var shared = PageCount.zero
    lock.withSharedLock {
      entries.visit(in: range) { entry in
        guard let object = entry.object else { return }
        let pages = entry.pages(of: entry.range.clamped(to: range), geometry)
        let others = object.sharedPartOfChain(below: pages)
        object.forEachTopmost(in: pages) { run, holder, _, _ in
          resident += run.count
          if others.contains(ObjectIdentifier(holder)) { shared += run.count }
        }
      }
    }
    return (resident, shared)
  }

  /// The parts of a range that may hold anything but zeros, in ascending order and joined where
  /// they are adjacent, and how much of the range is mapped. Takes the lock shared and the objects'
  /// in turn.
  ///
  /// - Complexity: as `forEachResident`, and the parts.
  package func populatedParts(
    of range: AddressRange
  ) -> (parts: [AddressRange], mapped: ByteCount) {
    var parts: [AddressRange] = []
    var mapped = ByteCount.zero
    lock.withSharedLock {
      entries.visit(in: range) { entry in
        let part = entry.range.clamped(to: range)
        mapped += part.length
        let pages = entry.pages(of: part, geometry)
        entry.object?.forEachPopulated(in: pages) { run in
          let start = part.start + geometry.bytes(run.start - pages.start)
          var found = AddressRange(from: start, to: start + geometry.bytes(run.count))
          if let last = parts.last, last.end == found.start {
            parts.removeLast()
            found = AddressRange(from: last.start, to: found.end)
          }
          parts.append(found)
        }
      }
    }
    return (parts, mapped)
  }
}
