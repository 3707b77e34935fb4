import HoldfastCore
import HoldfastTemplate
import Testing

@testable import Holdfast

/// The states of a clone's pages, without a clone.
struct CloneTouchesTests {
  /// 8 large pages of 2 MiB.
  private func touches(_ unit: ByteCount = .mebibytes(2)) -> CloneTouches {
    let geometry = Geometry.small
    return CloneTouches(
      geometry.pages(in: .mebibytes(16)), geometry, unit: unit, recordingTime: .seconds(60))
  }

  private func pages(_ start: UInt64, _ count: UInt64) -> PageRange {
    PageRange(start: PageIndex(start), count: PageCount(count))
  }

  @Test func `a touch meets what comes or came ahead, once`() {
    let touches = touches()
    touches.begin(pages(0, 1536))
    // While the first page is read, the second one is there, and the third was there before.
    touches.touch(PageIndex(5), writes: false)
    touches.made(pages(0, 512))
    touches.made(pages(512, 512))
    touches.end(pages(0, 1536))
    touches.touch(PageIndex(700), writes: true)
    touches.touch(PageIndex(701), writes: false)
    touches.touch(PageIndex(1024), writes: false)
    touches.touch(PageIndex(0), writes: false)
    #expect(touches.counts == (2, 1) && touches.readAhead == PageCount(1024))
    #expect(
      touches.workingSet.pages == [
        .init(0, isWritten: false), .init(1, isWritten: true), .init(2, isWritten: false),
      ])
    touches.stopRecording()
    touches.touch(PageIndex(2048), writes: false)
    #expect(touches.recorded == 3 && touches.counts == (2, 2))
  }

  @Test func `what is touched before it is read was missed`() {
    let touches = touches(.kibibytes(4))
    touches.touch(PageIndex(3), writes: false)
    touches.begin(pages(0, 8))
    touches.made(pages(0, 8))
    touches.end(pages(0, 8))
    touches.touch(PageIndex(3), writes: false)
    touches.touch(PageIndex(4), writes: false)
    #expect(touches.counts == (1, 1))
  }

  @Test func `pages beyond the memory are ignored`() {
    let touches = touches()
    touches.touch(PageIndex(4096), writes: false)
    touches.touch(PageIndex(.max), writes: false)
    for range in [pages(4000, 400), pages(1 << 40, 5), pages(0, 0)] {
      touches.begin(range)
      touches.end(range)
    }
    #expect(touches.counts == (0, 0) && touches.recorded == 0)
  }
}
