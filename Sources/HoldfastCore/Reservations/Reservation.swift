/// A superpage block set aside for one region of one object, so that base pages which come one by one
/// fill it in place (FreeBSD: `vm_reserv`).
///
/// Invariants, under the pool's lock:
/// - Slot n is the frame `start + n`; if it is populated, the frame is in use for the object's page
///   `key.first + n`.
/// - `population` is the number of members of `populated`, from 1 to 511: an empty reservation has
///   given its block back, and a full one is none any more, but a superpage run of its object.
/// - `dirty` tells which of the slots that are not populated are not known to be zero.
struct Reservation {
  /// The order of the block, and its pages.
  static let order = Geometry.levelShift
  static let pages = PageCount.order(order)

  /// A region of an object that a reservation may be for.
  struct Key: Hashable {
    let owner: ObjectIdentifier
    /// Its first page, a multiple of the pages of a block.
    let first: PageIndex

    /// The region that a page lies in.
    init(_ owner: ObjectIdentifier, around index: PageIndex) {
      self.owner = owner
      first = PageIndex(index.rawValue & ~(Reservation.pages.rawValue - 1))
    }

    var region: PageRange { PageRange(start: first, count: Reservation.pages) }
  }

  /// The block's first frame.
  let start: Frame
  var key: Key
  private(set) var populated = Bits512.empty
  private(set) var population = 0
  private var dirty = Bits512.empty
  /// The neighbours in the queue, by their numbers in the pool.
  var older: Int?
  var newer: Int?

  /// - Parameter runs: those of the block that are not known to be zero.
  init(_ start: Frame, _ key: Key, dirty runs: [FrameRun]) {
    self.start = start
    self.key = key
    for run in runs { dirty.insert(slots(of: run)) }
  }

  /// The pages of the block that hold nothing.
  var unpopulated: PageCount { Reservation.pages - PageCount(UInt64(population)) }

  /// The slots of frames of the block.
  func slots(of run: FrameRun) -> Range<Int> {
    let first = Int((run.start - start).rawValue)
    return first..<first + Int(run.count.rawValue)
  }

  func frames(of slots: Range<Int>) -> FrameRun {
    FrameRun(start + PageCount(UInt64(slots.lowerBound)), PageCount(UInt64(slots.count)))
  }

  /// Takes the slots from `slot` on that are not populated, up to `limit`, for use.
  ///
  /// - Parameter dirtyRuns: gets the frames of them that are not known to be zero.
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

  /// Takes slots back that are used no more.
  mutating func depopulate(_ slots: Range<Int>, zeroed: Bool) {
    precondition(populated.containsAll(slots), "a frame of a reservation is freed twice")
    populated.remove(slots)
    if !zeroed { dirty.insert(slots) }
    population -= slots.count
  }

  /// Calls `body` with the frames that are not populated, in runs that are alike in being zero.
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
