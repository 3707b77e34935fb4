/// Frames that the fault path has taken for the pages it comes to next: one contiguous run, zero,
/// and its own. Pages are used in ascending order.
struct FramesAhead {
  /// The pages that the frames are meant for, empty if there are none.
  let range: PageRange
  private let frames: FrameRun
  /// Those of the frames that were not zero when they were allocated.
  private let dirty: [FrameRun]
  /// The first page that has not been come to.
  private var next: PageIndex
  /// Pages that were passed over, because they were resident. Their translations are not to be
  /// taken away with those of `left`.
  private(set) var passedOver: [PageRange] = []
  /// Whether a pmap has been told of the whole range, and the guest may have written to it.
  private(set) var isReached = false

  init() {
    self.init(PageRange(.zero, .zero), FrameRun(Frame(0), .zero), [])
  }

  init(_ range: PageRange, _ frames: FrameRun, _ dirty: [FrameRun]) {
    self.range = range
    self.frames = frames
    self.dirty = dirty
    next = range.start
  }

  /// The frame meant for a page of the range.
  func frame(for index: PageIndex) -> Frame { frames.start + (index - range.start) }

  /// Whether the frame meant for a page had to be zeroed.
  func wasDirty(_ index: PageIndex) -> Bool {
    let frame = frame(for: index)
    return dirty.contains { $0.contains(frame) }
  }

  func run(for pages: PageRange) -> FrameRun { FrameRun(frame(for: pages.start), pages.count) }

  /// The pages that were not come to.
  var left: PageRange { PageRange(next, range.end) }

  /// A page has taken its frame, and with `isReached` the pmap is told of the whole range.
  mutating func use(_ index: PageIndex, isReached: Bool) {
    next = index + .one
    self.isReached = self.isReached || isReached
  }

  /// A page of the range, if it is one, was found resident and keeps the frame that it has.
  mutating func pass(_ index: PageIndex) {
    guard range.contains(index) else { return }
    let start = passedOver.last?.end == index ? passedOver.removeLast().start : index
    next = index + .one
    passedOver.append(PageRange(start, next))
  }
}
