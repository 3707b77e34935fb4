/// Frames that the wire's fault path has allocated for the pages that it populates next: one
/// contiguous run of zeros, which no other thread uses. They are used in ascending order.
struct FramesAhead {
  /// The pages that the frames are for; empty where there are none.
  let range: PageRange
  private let frames: FrameRun
  /// The frames that were dirty when they were allocated.
  private let dirty: [FrameRun]
  /// The first page that has not been populated or passed over.
  private var next: PageIndex
  /// Pages that were passed over because they were resident. Their translations must stay when
  /// those of `left` are removed.
  private(set) var passedOver: [PageRange] = []
  /// Whether a pmap was given the whole range as a reach, so that the guest may have written to it.
  private(set) var isReached = false

  init() {
    self.init(PageRange(from: .zero, to: .zero), FrameRun(Frame(0), .zero), [])
  }

  init(_ range: PageRange, _ frames: FrameRun, _ dirty: [FrameRun]) {
    self.range = range
    self.frames = frames
    self.dirty = dirty
    next = range.start
  }

  /// The frame for a page of the range.
  func frame(for index: PageIndex) -> Frame { frames.start + (index - range.start) }

  /// Whether the frame for a page was dirty when it was allocated.
  func wasDirty(_ index: PageIndex) -> Bool {
    let frame = frame(for: index)
    return dirty.contains { $0.contains(frame) }
  }

  func run(for pages: PageRange) -> FrameRun { FrameRun(frame(for: pages.start), pages.count) }

  /// The pages that have been neither populated nor passed over.
  var left: PageRange { PageRange(from: next, to: range.end) }

  /// Records that a page has its frame and, with `isReached`, that the pmap gets the whole range as
  /// a reach.
  mutating func use(_ index: PageIndex, isReached: Bool) {
    next = index + .one
    self.isReached = self.isReached || isReached
  }

  /// Records that a page, if it is one of the range, was resident and keeps its own frame.
  mutating func pass(_ index: PageIndex) {
    guard range.contains(index) else { return }
    let start = passedOver.last?.end == index ? passedOver.removeLast().start : index
    next = index + .one
    passedOver.append(PageRange(from: start, to: next))
  }
}
