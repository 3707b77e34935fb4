/// Walks over shadow chains.
extension MemoryObject {
  /// Calls `body` with the topmost resident pages of a range, busy ones included, in ascending
  /// order and run by run: the pages in this object's indexes, the object that holds them, the
  /// first one's index there, and its state. Takes the locks of the chain; `body` must not call the
  /// objects.
  ///
  /// - Complexity: O(runs of the chain · objects of the chain).
  func forEachTopmost(
    in range: PageRange, _ body: (PageRange, MemoryObject, PageIndex, PageState) -> Void
  ) {
    if isPlain {
      forEachResident(in: range) { run, state in body(run, self, run.start, state) }
      return
    }
    var index = range.start
    while index < range.end {
      do throws(HoldfastError) {
        index = try withChain(index, in: PageRange(from: index, to: range.end), seesBusy: true) {
          claim in
          switch claim {
          case .resident(let page):
            body(page.range, page.holder, page.index, page.state)
            return page.range.end
          case .paged(_, _, let count, _): return index + count
          case .absent(let gap): return gap.end
          default: preconditionFailure("a look-up makes nothing")
          }
        }
      } catch {
        preconditionFailure("looking a page up does not throw: \(error)")
      }
    }
  }

  /// The absent pages around one of which `withChain` found that it is absent: `gap`, which it
  /// found, or more in an object without backing object and pager, where it looks at one page only.
  /// Needs the object's lock.
  ///
  /// - Complexity: O(height + 512).
  func absentLocked(at index: PageIndex, _ gap: PageRange, in bounds: PageRange) -> PageRange {
    backing == nil && pager == nil ? pages.gap(at: index, in: bounds) : gap
  }

  /// Calls `body` with the parts of a range that may hold anything but zeros, in ascending order:
  /// pages that are resident or busy somewhere in the chain, and those that a pager has. Takes the
  /// locks of the chain; `body` must not call the objects.
  ///
  /// - Complexity: as `forEachTopmost`, and the pager's parts.
  func forEachPopulated(in range: PageRange, _ body: (PageRange) -> Void) {
    if isPlain {
      forEachResident(in: range) { run, _ in body(run) }
      return
    }
    var index = range.start
    while index < range.end {
      do throws(HoldfastError) {
        index = try withChain(index, in: PageRange(from: index, to: range.end), seesBusy: true) {
          claim in
          switch claim {
          case .resident(let page):
            body(page.range)
            return page.range.end
          case .paged(_, _, let count, _):
            body(PageRange(start: index, count: count))
            return index + count
          case .absent(let gap): return gap.end
          default: preconditionFailure("a look-up makes nothing")
          }
        }
      } catch {
        preconditionFailure("looking a page up does not throw: \(error)")
      }
    }
  }

  /// The objects of the chain, from this one down, for checks. Takes their locks in turn.
  package var chain: [MemoryObject] {
    var chain = [self]
    while let next = chain[chain.count - 1].lock.withLock({ chain[chain.count - 1].backing?.object }
    ) {
      chain.append(next)
    }
    return chain
  }

  /// The objects of the chain whose pages are also reached in another way than by one mapping of
  /// some pages of this object: by another mapping of these, or by another shadow. Takes the
  /// objects' locks in turn.
  package func sharedPartOfChain(below pages: PageRange) -> Set<ObjectIdentifier> {
    var shared: Set<ObjectIdentifier> = []
    for object in chain {
      let ways = object.lock.withLock {
        var mappings = object.mappings.count
        if object === self {
          mappings = 0
          object.mappings.forEach(overlapping: pages) { _, _ in mappings += 1 }
        }
        return mappings + object.shadows.count
      }
      // Ours is one: a mapping of the top object, a shadow of each one below.
      if ways > 1 || !shared.isEmpty {
        shared.insert(ObjectIdentifier(object))
      }
    }
    return shared
  }
}
