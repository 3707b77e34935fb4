extension MemoryObject {
  /// Whether absent pages of the object may have contents, because it has a pager or an object
  /// below. Takes the lock.
  package var hasContentsBelow: Bool {
    lock.withLock { pager != nil || backing != nil }
  }

  /// Whether at most one map entry maps the object. Takes the lock.
  package var isMappedOnce: Bool { lock.withLock { mappings.count <= 1 } }

  /// The mappings of some of the object's pages, in all address spaces. Takes the lock.
  package func mappings(of pages: PageRange) -> [(pmap: any Pmap, range: AddressRange)] {
    lock.withLock {
      var found: [(pmap: any Pmap, range: AddressRange)] = []
      mappings.forEach(overlapping: pages) { _, record in
        let part = record.pages.clamped(to: pages)
        if !part.isEmpty { found.append((record.pmap, addresses(of: part, record))) }
      }
      return found
    }
  }
}
