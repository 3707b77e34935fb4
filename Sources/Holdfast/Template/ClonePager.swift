internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastTemplate

/// The pager of a clone's memory: reads the template's memory, and notes which pages are touched. It
/// keeps the template open, so that it is not removed as long as an object has the pager.
final class ClonePager: Pager {
  let clone: TemplateClone
  private let touches: CloneTouches
  private let file: FilePager

  init(_ clone: TemplateClone, _ file: FilePager) {
    self.clone = clone
    self.file = file
    touches = clone.touches
  }

  func pages(at index: PageIndex, limit: PageCount) -> PageCount {
    file.pages(at: index, limit: limit)
  }

  func hole(around index: PageIndex, in range: PageRange) -> PageRange {
    file.hole(around: index, in: range)
  }

  func read(
    _ pages: PageRange, into frames: FrameRun, _ store: any FrameStore
  ) throws(HoldfastError) {
    try file.read(pages, into: frames, store)
  }

  func noteFault(at index: PageIndex, writes: Bool) {
    touches.touch(index, writes: writes)
  }
}
