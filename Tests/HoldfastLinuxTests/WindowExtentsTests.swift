import HoldfastTestKit
import Testing

@testable import HoldfastLinux

struct WindowExtentsTests {
  private struct Page: Equatable {
    var delta: UInt64
    var isVacant: Bool
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `extents agree with a page-by-page model`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var extents = WindowExtents()
    var model: [UInt64: Page] = [:]
    for _ in 0..<300 {
      let start = UInt64.random(in: 0..<60, using: &random)
      let range = start..<start + UInt64.random(in: 1...12, using: &random)
      if UInt64.random(in: 0..<3, using: &random) == 0 {
        extents.remove(range)
        for page in range { model[page] = nil }
      } else {
        let page = Page(
          delta: UInt64.random(in: 0..<2, using: &random),
          isVacant: Bool.random(using: &random))
        extents.insert(
          WindowExtents.Extent(range: range, delta: page.delta, isVacant: page.isVacant))
        for index in range { model[index] = page }
      }
      var told: [UInt64: Page] = [:]
      for extent in extents.all {
        for page in extent.range {
          #expect(told[page] == nil)
          told[page] = Page(delta: extent.delta, isVacant: extent.isVacant)
        }
      }
      #expect(told == model)
      // Sorted, and joined where alike.
      for (one, next) in zip(extents.all, extents.all.dropFirst()) {
        #expect(one.range.upperBound <= next.range.lowerBound)
        #expect(
          one.range.upperBound < next.range.lowerBound || one.delta != next.delta
            || one.isVacant != next.isVacant)
      }
      let probe = UInt64.random(in: 0..<70, using: &random)
      let extent = extents.covering(probe..<probe + 1)
      #expect((extent == nil) == (model[probe] == nil))
      #expect(extents.count == extents.all.count)
      let parts = extents.parts(of: 10..<50).reduce(0) { $0 + $1.range.count }
      #expect(parts == model.keys.filter { (10..<50).contains($0) }.count)
    }
  }
}
