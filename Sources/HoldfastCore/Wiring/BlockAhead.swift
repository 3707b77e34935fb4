/// A block of frames that a wire has allocated for absent pages and uses in ascending order, so
/// that pages which are copied, zeroed and found in different objects lie in place beside each
/// other. Until they are used the frames belong to the operation and to no page.
struct BlockAhead {
  /// The pages that the frames left are for; empty where there are none.
  private(set) var pages = PageRange(from: .zero, to: .zero)
  private var frame = Frame(0)
  /// The frames of the block that were dirty when it was allocated.
  private var dirty: [FrameRun] = []
  /// Whether the block is smaller than the alignment of its first page allows.
  private(set) var isFragment = false

  /// No frames.
  init() {}

  /// Frames for the pages from `index` on.
  init(_ frames: FrameRun, for index: PageIndex, dirty: [FrameRun], isFragment: Bool) {
    pages = PageRange(start: index, count: frames.count)
    frame = frames.start
    self.dirty = dirty
    self.isFragment = isFragment
  }

  /// The frames that are left.
  var left: FrameRun { FrameRun(frame, pages.count) }

  /// Whether the frames that are left are known to be zero.
  var isZeroed: Bool { dirty.allSatisfy { $0.end <= frame } }

  /// Takes the first frames that are left.
  ///
  /// - Returns: those of them that are not known to be zero.
  mutating func take(_ count: PageCount) -> [FrameRun] {
    let taken = FrameRun(frame, count)
    frame = taken.end
    pages = PageRange(from: pages.start + count, to: pages.end)
    return dirty.compactMap { run in
      let start = max(run.start, taken.start)
      let end = min(run.end, taken.end)
      return start < end ? FrameRun(start, end - start) : nil
    }
  }
}
