/// Frames for absent pages. Functions whose name ends in `Locked` need the object's lock.
extension MemoryObject {
  /// The pages that may be mapped.
  var mapped: PageRange { PageRange(from: .zero + head, to: .zero + size) }

  /// Frames for absent pages that are made one by one, from `index` on: from the region's
  /// reservation, which the first page makes; else beside the neighbor's frame; else any.
  ///
  /// - Parameters:
  ///   - limit: the most pages, all of them absent.
  ///   - dirty: gets the frames that are not known to be zero.
  /// - Returns: at least one frame; nil where none is left.
  /// - Complexity: O(height of the tree). Takes the reservation pool's lock, then a domain's.
  func framesLocked(
    for index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    if let run = reservedFrames(for: index, limit: limit, dirty: &dirty) { return run }
    if placement != nil { return nil }
    if let run = reserveLocked(index, limit: limit, dirty: &dirty) { return run }
    if limit == .one, index > .zero, let neighbor = pages[PageIndex(index.rawValue - 1)],
      let beside = memory.allocator.allocate(neighbor.frame + .one, order: 0, dirty: &dirty)
    {
      return beside.run
    }
    let order = memory.geometry.largestOrder(at: index, limit: limit)
    return memory.allocateLargestNow(order: order, dirty: &dirty)?.run
  }

  /// Binds the frames of the object's pages, for placed memory: page `index` to `frame`, and the
  /// others at the same distance from it. Takes the object's lock.
  ///
  /// - Returns: false where pages of the object are resident at another placement.
  package func place(_ index: PageIndex, at frame: Frame) -> Bool {
    let wanted = frame.rawValue &- index.rawValue
    return lock.withLock {
      guard placement == wanted || pages.residentCount == .zero else { return false }
      placement = wanted
      return true
    }
  }

  /// The largest free block of at most 2^order frames, for pages whose frames may be anywhere; nil
  /// for placed memory and where no frame is left.
  ///
  /// - Parameter limit: how many frames to allocate where blocks of the largest order lie beside
  ///   each other; one block otherwise.
  func anyFrames(order: Int, limit: PageCount = .zero, dirty: inout [FrameRun]) -> FrameRun? {
    placement == nil ? memory.allocateLargest(order: order, limit: limit, dirty: &dirty)?.run : nil
  }

  /// Frames that are set aside for pages from `index` on, by the region's reservation or by the
  /// object's placement; nil where there are none.
  func reservedFrames(
    for index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    if let placement {
      let run = FrameRun(Frame(index.rawValue &+ placement), limit)
      return memory.allocator.allocate(run, dirty: &dirty) ? run : nil
    }
    // A region that is wholly absent has no reservation.
    if limit >= Reservation.pages, index.isAligned(toOrder: Reservation.order) { return nil }
    return memory.reservations.populate(
      ObjectIdentifier(reservationOwner), index, limit: limit, dirty: &dirty)
  }

  /// Makes a reservation where no page of the region is resident and all of it can be mapped:
  /// otherwise it could not become a superpage.
  private func reserveLocked(
    _ index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    let region = Reservation.Key(ObjectIdentifier(reservationOwner), around: index).region
    guard memory.geometry.superpageLevels > 0, mapped.contains(region),
      pages.isAbsent(around: index, order: Reservation.order)
    else { return nil }
    return memory.reservations.reserve(
      ObjectIdentifier(reservationOwner), index, limit: limit, from: memory.allocator,
      beside: frameBeside(region), dirty: &dirty)
  }

  /// The block that is contiguous with the frames of the region before or after this one.
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
