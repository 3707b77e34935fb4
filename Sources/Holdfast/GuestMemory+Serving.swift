internal import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// Which threads serve the guest's page faults now; nil without demand paging. Of a guest with
  /// ``FaultServing/processors`` some ranges may be left to handler threads all the same.
  public var faultServing: FaultServing? {
    guard demandPaging != nil else { return nil }
    return pagedWindow?.isForProcessors == true ? .processors : .handlerThreads
  }

  /// Whether the guest began with processors that serve their faults, so that a slot may still
  /// report one.
  package var wasForProcessors: Bool { demandPaging?.serving == .processors }

  var pagedWindow: PagedWindow? { window as? PagedWindow }

  /// Has handler threads serve all faults of the guest from now on.
  ///
  /// - Complexity: O(the kernel's mappings of the window), plus O(pages) on an arena of base pages.
  package func leaveToHandlerThreads() {
    if wasForProcessors { pagedWindow?.handOver(nil) }
  }

  /// The same for a range.
  func leaveToHandlerThreads(_ range: AddressRange) {
    if wasForProcessors { pagedWindow?.handOver(range) }
  }

  /// The same for the pages of some bytes.
  func leaveToHandlerThreads(containing address: Address, _ count: ByteCount) {
    let page = arena.geometry.pageSize
    guard let bytes = AddressRange(start: address, length: count),
      let end = bytes.end.roundedUp(to: page)
    else { return }
    leaveToHandlerThreads(AddressRange(from: address.roundedDown(to: page), to: end))
  }

  /// Leaves to handler threads what is mapped of a segment at a new place, and everywhere else, if
  /// its pages may have contents without having been entered in a window: they are resident, a pager
  /// has them, or another mapping may write to them. Called after the mapping is known to its
  /// object, so that of two such calls at once one finds both.
  func leaveSharedPages(_ segment: MemorySegment, offset: ByteCount, _ range: AddressRange) {
    // The usual segment, whose mappings need no search.
    if !wasForProcessors, segment.object.isMappedOnce { return }
    let first = PageIndex(arena.geometry.pages(in: offset).rawValue)
    let pages = PageRange(start: first, count: arena.geometry.pages(in: range.length))
    let mappings = segment.object.mappings(of: pages)
    if mappings.count > 1 {
      for (pmap, range) in mappings { (pmap as? PagedWindow)?.handOver(range) }
    } else if wasForProcessors {
      let isKnown =
        segment.object.hasContentsBelow || space.residency(in: range).resident > .zero
      if isKnown { leaveToHandlerThreads(range) }
    }
  }
}
