/// Pages of an object in contiguous frames, as a wire or a fault enters them.
struct PageRun {
  var index: PageIndex
  var frames: FrameRun
  /// Whether a wire made the pages: they are busy and invalid until it finishes. Otherwise they
  /// were resident, and a wire has raised their wire counts.
  var isFresh: Bool

  var range: PageRange { PageRange(start: index, count: frames.count) }
}
