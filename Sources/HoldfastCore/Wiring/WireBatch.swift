/// A batch of pages that a wire has claimed, to be zeroed where dirty and then entered.
struct WireBatch {
  var runs: [PageRun] = []
  /// The frames of fresh runs that are not known to be zero.
  var dirty: [FrameRun] = []
  /// What is at the next page and ended the batch, `busy` or `failed`. Nil where the range or the
  /// batch is complete.
  var obstacle: PageClaim?
  /// Fresh pages in smaller blocks than their alignment allows.
  var fragmented = PageCount.zero
  /// The index after the last page of the batch.
  var next: PageIndex
}
