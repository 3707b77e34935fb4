/// A superpage block that is set aside for one region of one object, so that base pages which
/// faults bring one by one fill it in place (FreeBSD: `vm_reserv`).
///
/// It has nothing to do with a `Reservoir` (memory kept ready for guests that do not run yet), with
/// a `HugePagePoolIncrease` (more huge pages in the host's pool), or with reserved address ranges
/// (mmap(2) with PROT_NONE).
///
/// Invariants, under the pool's lock:
/// - Slot n is the frame `start + n`. If it is populated, the frame holds the object's page
///   `key.first + n`.
/// - `population` is the number of members of `populated`, from 1 to 511: an empty reservation has
///   freed its block, and a full one has ended, as a superpage run of its object.
/// - `dirty` has the slots that are not populated and not known to be zero.
struct Reservation {
  /// The order of the block.
  static let order = Geometry.levelShift
  /// The number of pages of the block.
  static let pages = PageCount.order(order)

  /// A region of an object that may have a reservation.
  struct Key: Hashable {
    /// The object.
    let owner: ObjectIdentifier
    /// The region's first page, a multiple of the pages of a block.
    let first: PageIndex

    /// The region that a page lies in.
    init(_ owner: ObjectIdentifier, around index: PageIndex) {
      self.owner = owner
      first = PageIndex(index.rawValue & ~(Reservation.pages.rawValue - 1))
    }

    /// The region's pages.
    var region: PageRange { PageRange(start: first, count: Reservation.pages) }
  }

  /// The block's first frame.
  let start: Frame
  /// The region that the block is for.
  var key: Key
  /// The slots whose frames are in use.
  private(set) var populated = Bits512.empty
  /// The number of populated slots.
  private(set) var population = 0
  private var dirty = Bits512.empty
  /// The number, in the pool, of the reservation that was used before this one.
  var older: Int?
  /// The number, in the pool, of the reservation that was used after this one.
  var newer: Int?

  /// An empty reservation of an allocated block.
  ///
  /// - Parameter runs: the frames of the block that are not known to be zero.
  init(_ start: Frame, _ key: Key, dirty runs: [FrameRun]) {
    self.start = start
    self.key = key
    for run in runs { dirty.insert(slots(of: run)) }
  }

  /// The number of pages of the block that are not in use.
  var unpopulated: PageCount { Reservation.pages - PageCount(UInt64(population)) }

  /// The slots of frames of the block.
  func slots(of run: FrameRun) -> Range<Int> {
    let first = Int((run.start - start).rawValue)
    return first..<first + Int(run.count.rawValue)
  }

  /// The frames of slots.
  func frames(of slots: Range<Int>) -> FrameRun {
    FrameRun(start + PageCount(UInt64(slots.lowerBound)), PageCount(UInt64(slots.count)))
  }

  /// Populates at most `limit` contiguous slots from `slot` on.
  ///
  /// - Parameter dirtyRuns: gets those of their frames that are not known to be zero.
  /// - Returns: the slots, or nil where `slot` is populated already.
  mutating func populate(from slot: Int, limit: Int, _ dirtyRuns: inout [FrameRun]) -> Range<Int>? {
    if populated.contains(slot) { return nil }
    let taken = populated.run(from: slot, to: min(512, slot + limit))
    forEachAlike(in: taken) { part, isDirty in
      if isDirty { dirtyRuns.append(frames(of: part)) }
    }
    populated.insert(taken)
    dirty.remove(taken)
    population += taken.count
    return taken
  }

  /// Marks slots as not in use any more.
  mutating func depopulate(_ slots: Range<Int>, zeroed: Bool) {
    precondition(populated.containsAll(slots), "a frame of a reservation is freed twice")
    populated.remove(slots)
    if !zeroed { dirty.insert(slots) }
    population -= slots.count
  }

  /// Calls `body` with the frames that are not in use, in runs that are all zeroed or all dirty.
  func forEachUnpopulated(_ body: (FrameRun, _ zeroed: Bool) -> Void) {
    var slot = 0
    while slot < 512 {
      let run = populated.run(from: slot, to: 512)
      slot = run.upperBound
      if populated.contains(run.lowerBound) { continue }
      forEachAlike(in: run) { part, isDirty in body(frames(of: part), !isDirty) }
    }
  }

  private func forEachAlike(in range: Range<Int>, _ body: (Range<Int>, _ isDirty: Bool) -> Void) {
    var slot = range.lowerBound
    while slot < range.upperBound {
      let part = dirty.run(from: slot, to: range.upperBound)
      body(part, dirty.contains(slot))
      slot = part.upperBound
    }
  }
}
