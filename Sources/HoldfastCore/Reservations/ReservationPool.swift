/// The reservations of a physical memory: those partly populated, in the order in which they were used
/// (FreeBSD: the partially populated queue of `vm_reserv.c`).
///
/// A reservation is made when the first base page of a region comes, and is full, empty or broken when
/// it goes: its unpopulated frames are nobody's, and go to others, the least recently used
/// reservation's first, when the allocator has none left.
///
/// Its lock comes after those of objects and before the allocator's.
public final class ReservationPool: @unchecked Sendable {
  private let allocator: FrameAllocator
  private let lock = Lock()
  // Protected by `lock`.
  private var reservations: [Reservation?] = []
  private var spare: [Int] = []
  private var byKey: [Reservation.Key: Int] = [:]
  /// By the number of the block.
  private var byBlock: [UInt64: Int] = [:]
  private var oldest: Int?
  private var newest: Int?
  private var counters = ReservationStatistics()

  /// No reservations. One pool for an allocator.
  init(allocator: FrameAllocator) {
    self.allocator = allocator
  }

  /// How many there are and what has become of those that were. Takes the pool's lock.
  public var statistics: ReservationStatistics { lock.withLock { counters } }

  /// The bytes of the records. Takes the pool's lock.
  public var metadata: ByteCount {
    lock.withLock {
      let records = reservations.count * MemoryLayout<Reservation?>.stride + spare.count * 8
      let tables =
        byKey.capacity * (MemoryLayout<Reservation.Key>.stride + 9) + byBlock.capacity * 17
      return ByteCount(UInt64(records + tables))
    }
  }

  // MARK: Taking frames

  /// Takes frames of a region's reservation for pages from `index` on.
  ///
  /// - Parameter dirty: gets the frames that are not known to be zero.
  /// - Returns: at most `limit` frames; nil where there is no reservation or the page's frame is used.
  /// - Complexity: O(1) and the runs that are alike. Takes the pool's lock.
  func populate(
    _ owner: ObjectIdentifier, _ index: PageIndex, limit: PageCount, dirty: inout [FrameRun]
  ) -> FrameRun? {
    lock.withLock {
      guard let number = byKey[Reservation.Key(owner, around: index)] else { return nil }
      return populateLocked(number, index, limit: limit, dirty: &dirty)
    }
  }

  /// Makes a reservation around a page, none of whose region is resident, and takes frames of it as
  /// `populate` does.
  ///
  /// - Parameters:
  ///   - allocator: that of the owner's policy.
  ///   - neighbour: where the block would lie beside those of the regions around, so that regions that
  ///     come one after the other lie so in memory too.
  /// - Returns: nil where no block is free, or there is a reservation already.
  func reserve(
    _ owner: ObjectIdentifier, _ index: PageIndex, limit: PageCount,
    from allocator: FrameAllocator, beside neighbour: Frame?, dirty: inout [FrameRun]
  ) -> FrameRun? {
    let key = Reservation.Key(owner, around: index)
    var blockDirty: [FrameRun] = []
    let beside = neighbour.flatMap {
      allocator.allocate($0, order: Reservation.order, dirty: &blockDirty)
    }
    guard
      let whole = beside
        ?? allocator.allocate(order: Reservation.order, isLast: false, dirty: &blockDirty)
    else { return nil }
    let run: FrameRun?? = lock.withLock {
      // Somebody holds slots of the region ahead of pages that are not there yet.
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
      forgetLocked(number)
    } else {
      moveToEndLocked(number)
    }
    return run
  }

  // MARK: Giving frames back

  /// Gives frames back that objects use no more: to their reservation where there is one, which gives
  /// its block back when it is empty, else to the allocator (FreeBSD: `vm_reserv_free_page`).
  ///
  /// - Complexity: O(blocks of the run). Takes the pool's lock, then the allocator's.
  func free(_ run: FrameRun, zeroed: Bool) {
    var rest = run
    lock.withLock {
      if byBlock.isEmpty { return }
      // A block that is used as a whole has no reservation, so only the ends of the run may.
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

  /// False where the frames are of no reservation.
  private func depopulateLocked(_ run: FrameRun, zeroed: Bool) -> Bool {
    guard let number = byBlock[block(of: run.start)] else { return false }
    self[number].depopulate(self[number].slots(of: run), zeroed: zeroed)
    counters.unpopulated += run.count
    if self[number].population == 0 {
      counters.emptied += 1
      giveBackLocked(number)
    } else {
      moveToEndLocked(number)
    }
    return true
  }

  /// Breaks the reservation that was not used for the longest time (FreeBSD:
  /// `vm_reserv_reclaim_inactive`): its unpopulated frames are free then.
  ///
  /// - Parameter wanting: whose policy must allow the frames.
  /// - Returns: false where there is none.
  /// - Complexity: O(1), plus the reservations that the policy rules out.
  func breakOldest(for wanting: FrameAllocator) -> Bool {
    lock.withLock {
      var next = oldest
      while let number = next {
        if wanting.allows(self[number].start) {
          counters.broken += 1
          giveBackLocked(number)
          return true
        }
        next = self[number].newer
      }
      return false
    }
  }

  /// Breaks all reservations, as before memory is compacted.
  package func breakAll() {
    while breakOldest(for: allocator.withPolicy(.firstTouch)) {}
  }

  /// The pages in `run` are from now on another object's, the first at `index`: a reservation that
  /// they are in goes with them if it fits there, and is broken if not (FreeBSD: `vm_reserv_rename`).
  ///
  /// - Parameter mapped: the pages of the object that may be mapped.
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
          giveBackLocked(number)
          continue
        }
        byKey[self[number].key] = nil
        self[number].key = key
        byKey[key] = number
      }
    }
  }

  // MARK: Looking

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
        preconditionFailure("a reservation is gone")
      }
      return reservation
    }
    _modify {
      guard reservations[number] != nil else { preconditionFailure("a reservation is gone") }
      yield &reservations[number]!
    }
  }

  private func block(of frame: Frame) -> UInt64 { frame.rawValue >> UInt64(Reservation.order) }

  private func blockEnd(of frame: Frame) -> Frame {
    Frame((block(of: frame) + 1) << UInt64(Reservation.order))
  }

  /// Gives what is not populated to the allocator and forgets the reservation.
  private func giveBackLocked(_ number: Int) {
    self[number].forEachUnpopulated { run, zeroed in allocator.free(run, zeroed: zeroed) }
    counters.unpopulated -= self[number].unpopulated
    forgetLocked(number)
  }

  private func forgetLocked(_ number: Int) {
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
