/// The partly populated reservations of a physical memory, in the order of their last use (FreeBSD:
/// the partially populated queues of `vm_reserv.c`).
///
/// A reservation is made with the first base page of a region, and ends when it is full, empty or
/// broken. The unpopulated frames of a reservation are not allocated to any page: when the
/// allocator has no free frame, the least recently used reservation is broken and they are free.
///
/// This is not the `Reservoir`, which keeps memory in files for guests to come.
///
/// Its lock comes after those of objects and before those of the allocator's domains.
public final class ReservationPool: @unchecked Sendable {
  private let allocator: FrameAllocator
  private let lock = Lock()
  // Protected by `lock`.
  private var reservations: [Reservation?] = []
  private var spare: [Int] = []
  private var byKey: [Reservation.Key: Int] = [:]
  /// The reservations by the number of their block.
  private var byBlock: [UInt64: Int] = [:]
  private var oldest: Int?
  private var newest: Int?
  private var counters = ReservationStatistics()

  /// A pool without reservations. An allocator has one pool.
  init(allocator: FrameAllocator) {
    self.allocator = allocator
  }

  /// The number of reservations, and how earlier ones ended. Takes the pool's lock.
  public var statistics: ReservationStatistics { lock.withLock { counters } }

  /// The size of the pool's own data. Takes the pool's lock.
  public var metadata: ByteCount {
    lock.withLock {
      let records = reservations.count * MemoryLayout<Reservation?>.stride + spare.count * 8
      let tables =
        byKey.capacity * (MemoryLayout<Reservation.Key>.stride + 9) + byBlock.capacity * 17
      return ByteCount(UInt64(records + tables))
    }
  }

  // MARK: Populating

  /// Populates the reservation of the region around a page, from the page on.
  ///
  /// - Parameter dirty: gets the frames that are not known to be zero.
  /// - Returns: at most `limit` frames; nil where the region has no reservation, the page's frame is
  ///   in use, or the allocator is closed.
  /// - Complexity: O(1), plus the runs of zeroed and dirty frames. Takes the pool's lock.
  func populate(
    _ owner: ObjectIdentifier, _ index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    lock.withLock {
      // A frame that a page left may be one that something still reaches.
      guard !allocator.isClosed, let number = byKey[Reservation.Key(owner, around: index)] else {
        return nil
      }
      return populateLocked(number, index, limit: limit, dirty: &dirty)
    }
  }

  /// Makes a reservation for the region around a page, no page of which is resident, and populates
  /// it as `populate` does.
  ///
  /// - Parameters:
  ///   - allocator: the allocator with the owner's policy.
  ///   - neighbor: the block beside those of the neighboring regions, which is preferred so that
  ///     adjacent regions are adjacent in memory too.
  /// - Returns: the frames, or nil where no block is free or the region has a reservation already.
  /// - Complexity: that of an allocation. Takes the locks of the allocator's domains, then the
  ///   pool's.
  func reserve(
    _ owner: ObjectIdentifier, _ index: PageIndex, limit: PageCount,
    from allocator: FrameAllocator, beside neighbor: Frame?, dirty: inout [FrameRun]
  ) -> FrameRun? {
    let key = Reservation.Key(owner, around: index)
    var blockDirty: [FrameRun] = []
    let beside = neighbor.flatMap {
      allocator.allocate($0, order: Reservation.order, dirty: &blockDirty)
    }
    guard
      let whole = beside
        ?? allocator.allocateNow(order: Reservation.order, dirty: &blockDirty)
    else { return nil }
    let run: FrameRun?? = lock.withLock {
      // Another thread has made one, for pages that are not resident yet.
      if byKey[key] != nil { return nil }
      let reservation = Reservation(whole.run.start, key, dirty: blockDirty)
      let number = spare.popLast() ?? reservations.count
      if number == reservations.count { reservations.append(nil) }
      reservations[number] = reservation
      byKey[key] = number
      byBlock[block(of: reservation.start)] = number
      appendLocked(number)
      counters.reserved += 1
      counters.partial += 1
      counters.unpopulated += Reservation.pages
      return .some(populateLocked(number, index, limit: limit, dirty: &dirty))
    }
    if let run { return run }
    allocator.free(whole.run, zeroed: whole.isZeroed)
    return nil
  }

  private func populateLocked(
    _ number: Int, _ index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    let first = self[number].key.first
    let slot = Int((index - first).rawValue)
    let limit = Int(min(limit, Reservation.pages).rawValue)
    guard let slots = self[number].populate(from: slot, limit: limit, &dirty) else { return nil }
    counters.unpopulated -= PageCount(UInt64(slots.count))
    let run = self[number].frames(of: slots)
    if self[number].population == 512 {
      counters.filled += 1
      removeLocked(number)
    } else {
      moveToEndLocked(number)
    }
    return run
  }

  // MARK: Freeing

  /// Frees frames that objects no longer use: to their reservation where there is one, which frees
  /// its block when it becomes empty; otherwise to the allocator (FreeBSD: `vm_reserv_free_page`).
  ///
  /// - Complexity: O(blocks of the run). Takes the pool's lock, and under it those of the domains.
  func free(_ run: FrameRun, zeroed: Bool) {
    var rest = run
    lock.withLock {
      if byBlock.isEmpty { return }
      // A block that lies wholly in the run has no reservation, so only the ends may have one.
      let head = min(run.count, PageCount(blockEnd(of: run.start).rawValue - run.start.rawValue))
      if depopulateLocked(FrameRun(run.start, head), zeroed: zeroed) {
        rest = FrameRun(run.start + head, run.count - head)
      }
      let tail = PageCount(run.end.rawValue & (Reservation.pages.rawValue - 1))
      let isElsewhere = block(of: run.start) != block(of: run.end)
      if isElsewhere, tail > .zero,
        depopulateLocked(FrameRun(Frame(run.end.rawValue - tail.rawValue), tail), zeroed: zeroed)
      {
        rest = FrameRun(rest.start, rest.count - tail)
      }
    }
    if rest.count > .zero { allocator.free(rest, zeroed: zeroed) }
  }

  /// Returns false where the frames are in no reservation.
  private func depopulateLocked(_ run: FrameRun, zeroed: Bool) -> Bool {
    guard let number = byBlock[block(of: run.start)] else { return false }
    self[number].depopulate(self[number].slots(of: run), zeroed: zeroed)
    counters.unpopulated += run.count
    if self[number].population == 0 {
      counters.emptied += 1
      breakLocked(number)
    } else {
      moveToEndLocked(number)
    }
    return true
  }

  /// Breaks the least recently used reservation (FreeBSD: `vm_reserv_reclaim_inactive`), so that
  /// its unpopulated frames are free.
  ///
  /// - Parameter wanting: the allocator whose policy must allow the frames.
  /// - Returns: false where the policy allows no reservation's frames.
  /// - Complexity: O(1), plus the reservations that the policy does not allow. Takes the pool's
  ///   lock, and under it those of the domains.
  func breakOldest(for wanting: FrameAllocator) -> Bool {
    lock.withLock {
      var next = oldest
      while let number = next {
        if wanting.allows(self[number].start) {
          counters.broken += 1
          breakLocked(number)
          return true
        }
        next = self[number].newer
      }
      return false
    }
  }

  /// Breaks all reservations, as compaction does first.
  package func breakAll() {
    while breakOldest(for: allocator.withPolicy(.firstTouch)) {}
  }

  /// Records that the pages in `run` now belong to another object, the first at `index`. A
  /// reservation that they are in moves with them if it fits there, and is broken otherwise
  /// (FreeBSD: `vm_reserv_rename`).
  ///
  /// - Parameter mapped: the pages of the new owner that may be mapped.
  func rename(
    _ run: FrameRun, to owner: ObjectIdentifier, at index: PageIndex, mapped: PageRange
  ) {
    lock.withLock {
      if byBlock.isEmpty { return }
      for frame in [run.start, Frame(run.end.rawValue - 1)] {
        guard let number = byBlock[block(of: frame)] else { continue }
        let place = index + (frame - run.start)
        let key = Reservation.Key(owner, around: place)
        if self[number].key == key { continue }
        let isInPlace = place - key.first == frame - self[number].start
        guard isInPlace, byKey[key] == nil, mapped.contains(key.region) else {
          counters.broken += 1
          breakLocked(number)
          continue
        }
        byKey[self[number].key] = nil
        self[number].key = key
        byKey[key] = number
      }
    }
  }

  /// Ends the reservations that frames in use belong to: their unpopulated frames are free.
  ///
  /// - Complexity: O(1). Takes the pool's lock, and under it those of the domains.
  func endReservations(of run: FrameRun) {
    lock.withLock {
      for frame in [run.start, Frame(run.end.rawValue - 1)] {
        guard let number = byBlock[block(of: frame)] else { continue }
        counters.broken += 1
        breakLocked(number)
      }
    }
  }

  // MARK: Inspecting

  /// Every reservation, the least recently used first, for checks. Takes the pool's lock.
  var all: [Reservation] {
    lock.withLock {
      var all: [Reservation] = []
      var next = oldest
      while let number = next {
        all.append(self[number])
        next = self[number].newer
      }
      return all
    }
  }

  // MARK: With the lock held

  private subscript(number: Int) -> Reservation {
    get {
      guard let reservation = reservations[number] else {
        preconditionFailure("the reservation was removed")
      }
      return reservation
    }
    _modify {
      guard reservations[number] != nil else { preconditionFailure("the reservation was removed") }
      yield &reservations[number]!
    }
  }

  private func block(of frame: Frame) -> UInt64 { frame.rawValue >> UInt64(Reservation.order) }

  private func blockEnd(of frame: Frame) -> Frame {
    Frame((block(of: frame) + 1) << UInt64(Reservation.order))
  }

  /// Frees the frames that are not in use, and removes the reservation.
  private func breakLocked(_ number: Int) {
    self[number].forEachUnpopulated { run, zeroed in allocator.free(run, zeroed: zeroed) }
    counters.unpopulated -= self[number].unpopulated
    removeLocked(number)
  }

  private func removeLocked(_ number: Int) {
    unlinkLocked(number)
    byKey[self[number].key] = nil
    byBlock[block(of: self[number].start)] = nil
    reservations[number] = nil
    spare.append(number)
    counters.partial -= 1
  }

  private func appendLocked(_ number: Int) {
    self[number].older = newest
    self[number].newer = nil
    if let newest { self[newest].newer = number } else { oldest = number }
    newest = number
  }

  private func unlinkLocked(_ number: Int) {
    let (older, newer) = (self[number].older, self[number].newer)
    if let older { self[older].newer = newer } else { oldest = newer }
    if let newer { self[newer].older = older } else { newest = older }
  }

  private func moveToEndLocked(_ number: Int) {
    if newest == number { return }
    unlinkLocked(number)
    appendLocked(number)
  }
}
