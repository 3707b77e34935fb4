/// Frames that belong to another allocator and return to it when the last reference goes.
final class PlacedFrames: Sendable {
  private let run: FrameRun
  private let owner: FrameAllocator

  /// A claim on allocated frames of `owner`.
  init(_ run: FrameRun, of owner: FrameAllocator) {
    self.run = run
    self.owner = owner
  }

  deinit {
    owner.free(run, zeroed: false)
  }
}
