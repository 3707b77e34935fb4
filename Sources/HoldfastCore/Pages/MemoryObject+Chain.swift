/// What is where in a shadow chain.
extension MemoryObject {
  /// Calls `body` with the topmost resident pages of a range, in ascending order, a run at a time: the
  /// pages in this object's indexes, where they are, and the state of the first. Takes the locks of
  /// the chain; `body` may not call back.
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
        index = try withChain(index, in: PageRange(index, range.end), seesBusy: true) { claim in
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

  /// Calls `body` with the parts of a range that may hold anything but zeros, in ascending order: what is
  /// resident or in the making somewhere in the chain, and what a pager has. Takes the locks of the
  /// chain; `body` may not call back.
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
        index = try withChain(index, in: PageRange(index, range.end), seesBusy: true) { claim in
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

  /// The objects of the chain from this one down, for checks. Takes the locks in turn.
  package var chain: [MemoryObject] {
    var chain = [self]
    while let next = chain[chain.count - 1].lock.withLock({ chain[chain.count - 1].backing?.object }
    ) {
      chain.append(next)
    }
    return chain
  }

  /// The objects of the chain that others reach too, by a mapping or a shadow of their own, for one that
  /// maps this object. Takes the locks in turn.
  package var sharedPartOfChain: Set<ObjectIdentifier> {
    var shared: Set<ObjectIdentifier> = []
    for object in chain {
      let ways = object.lock.withLock { object.mappings.count + object.shadows.count }
      // Ours is one: a mapping of the top object, a shadow of each one below.
      if ways > 1 || !shared.isEmpty {
        shared.insert(ObjectIdentifier(object))
      }
    }
    return shared
  }
}
