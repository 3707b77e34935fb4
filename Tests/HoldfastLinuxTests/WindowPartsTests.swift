import HoldfastTestKit
import Testing

@testable import HoldfastLinux

struct WindowPartsTests {
  private struct Part: WindowPart {
    var range: Range<UInt64>
    var kind: UInt64
    /// Kind 3 never joins, as mappings of hugetlb.
    func continues(in next: Part) -> Bool { kind != 3 && kind == next.kind }
  }

  /// Pages alternate, so that there are many chunks.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func `many parts agree with an array of pages`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let size = UInt64(6000)
    var parts = WindowParts<Part>()
    var model = [UInt64?](repeating: nil, count: Int(size))
    for page in stride(from: UInt64(0), to: size, by: 2) {
      parts.replace(page..<page + 1, by: Part(range: page..<page + 1, kind: 0))
      model[Int(page)] = 0
    }
    #expect(parts.count == 3000)
    for step in 0..<400 {
      let start = UInt64.random(in: 0..<size, using: &random)
      let longest: UInt64 = step % 10 == 0 ? size / 2 : 9
      let range = start..<min(size, start + UInt64.random(in: 1...longest, using: &random))
      let kind = UInt64.random(in: 0..<5, using: &random)
      let part = kind == 4 ? nil : Part(range: range, kind: kind)
      let before = parts.count
      let added = parts.added(range, by: part)
      parts.replace(range, by: part)
      #expect(parts.count - before == added)
      for page in range { model[Int(page)] = part?.kind }
      let probe = UInt64.random(in: 0..<size, using: &random)
      #expect(parts.part(at: probe)?.kind == model[Int(probe)])
      #expect(parts.overlaps(probe..<probe + 1) == (model[Int(probe)] != nil))
      guard step % 20 == 0 else { continue }
      let all = parts.all
      #expect(all.count == parts.count)
      var told = [UInt64?](repeating: nil, count: Int(size))
      for part in all { for page in part.range { told[Int(page)] = part.kind } }
      #expect(told == model)
      for (one, next) in zip(all, all.dropFirst()) {
        #expect(one.range.upperBound <= next.range.lowerBound)
        #expect(one.range.upperBound < next.range.lowerBound || !one.continues(in: next))
      }
      let some = parts.parts(of: 1000..<3000)
      #expect(
        some.reduce(0) { $0 + $1.range.count }
          == model[1000..<3000].count { $0 != nil })
    }
    parts.replace(0..<size, by: nil)
    #expect(parts.count == 0 && parts.all == [] && parts.part(at: 5) == nil)
  }
}
