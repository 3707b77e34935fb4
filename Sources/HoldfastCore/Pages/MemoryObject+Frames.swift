/// Where the frames of absent pages come from. The object's lock is held.
extension MemoryObject {
  /// The pages that may be mapped.
  var mapped: PageRange { PageRange(.zero + head, .zero + size) }

  /// Frames for absent pages that come one by one, from `index` on: of the region's reservation, which
  /// is made with the first page; else beside the neighbour's; else any.
  ///
  /// - Parameters:
  ///   - limit: at most so many, all absent.
  ///   - dirty: gets the frames that are not known to be zero.
  /// - Returns: one frame at least; nil where none is left.
  /// - Complexity: O(height of the tree). Takes the pool's lock, then the allocator's.
  func framesLocked(
    for index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    if let run = reservedFrames(for: index, limit: limit, dirty: &dirty) { return run }
    if placement != nil { return nil }
    if let run = reserveLocked(index, limit: limit, dirty: &dirty) { return run }
    if limit == .one, index > .zero, let neighbour = pages[PageIndex(index.rawValue - 1)],
      let beside = memory.allocator.allocate(neighbour.frame + .one, order: 0, dirty: &dirty)
    {
      return beside.run
    }
    let order = memory.geometry.largestOrder(at: index, limit: limit)
    return memory.allocateLargest(order: order, dirty: &dirty)?.run
  }

  /// From now on page `index` is in `frame`, and the others lie around it alike.
  ///
  /// - Returns: false where pages of the object have another place already.
  package func place(_ index: PageIndex, at frame: Frame) -> Bool {
    let wanted = frame.rawValue &- index.rawValue
    return lock.withLock {
      guard placement == wanted || pages.residentCount == .zero else { return false }
      placement = wanted
      return true
    }
  }

  /// The largest block that is to be had for pages whose frames may lie anywhere.
  func anyFrames(order: Int, dirty: inout [FrameRun]) -> FrameRun? {
    placement == nil ? memory.allocateLargest(order: order, dirty: &dirty)?.run : nil
  }

  /// Frames that the region's reservation has for pages from `index` on, nil where there is none.
  func reservedFrames(
    for index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    if let placement {
      let run = FrameRun(Frame(index.rawValue &+ placement), limit)
      return memory.allocator.allocate(run, dirty: &dirty) ? run : nil
    }
    // A region of which all is absent has none.
    if limit >= Reservation.pages, index.isAligned(toOrder: Reservation.order) { return nil }
    return memory.reservations.populate(
      ObjectIdentifier(self), index, limit: limit, dirty: &dirty)
  }

  /// Makes a reservation where none of the region is resident and all of it can be mapped: it could
  /// not become a superpage otherwise.
  private func reserveLocked(
    _ index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    let region = Reservation.Key(ObjectIdentifier(self), around: index).region
    guard memory.geometry.superpageLevels > 0, mapped.contains(region),
      pages.isAbsent(around: index, order: Reservation.order)
    else { return nil }
    return memory.reservations.reserve(
      ObjectIdentifier(self), index, limit: limit, from: memory.allocator,
      beside: frameBeside(region), dirty: &dirty)
  }

  /// The block that would go on where the regions before or after this one are.
  private func frameBeside(_ region: PageRange) -> Frame? {
    if region.start > .zero, let before = pages[PageIndex(region.start.rawValue - 1)] {
      let frame = before.frame + .one
      if frame.isAligned(toOrder: Reservation.order) { return frame }
    }
    if let after = pages[region.end], after.frame.rawValue >= Reservation.pages.rawValue {
      let frame = Frame(after.frame.rawValue - Reservation.pages.rawValue)
      if frame.isAligned(toOrder: Reservation.order) { return frame }
    }
    return nil
  }
}
