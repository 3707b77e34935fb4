import HoldfastCore
import HoldfastTestKit

/// One random operation. Every field is valid in every state, so that a sequence remains valid when
/// steps are removed.
struct ModelStep {
  enum Kind: CaseIterable {
    case mapAnonymous, mapShared, mapImage, mapSegment, write, touch, peek, wire, unwire, protect,
      fork, remove,
      end
    case collapse, compact
    /// Holds the pages; ends a hold; writes to a held page as a device does, by its frame.
    case hold, release, device
  }

  /// The resource that the step makes scarce.
  enum Shortage {
    case frames(UInt64)
    case translations(Int)
    case pager(Int)
  }

  var kind: Kind
  /// The index of the space, modulo the number of spaces.
  var space: Int
  var pages: Range<UInt64>
  var byte: UInt8
  var protection: Protection
  var inheritance: Inheritance
  var options: WireOptions
  var shortage: Shortage?

  static let pages: UInt64 = 24
  /// The number of holds at a time.
  static let mostHolds = 4
  /// The number of pages of the segment.
  static let segmentPages: UInt64 = 32

  /// The page of the segment that the first page maps.
  ///
  /// - Parameter isAnywhere: whether segment and addresses need not have the same page numbers.
  func segmentPage(isAnywhere: Bool) -> UInt64 {
    isAnywhere
      ? UInt64(byte) % (ModelStep.segmentPages - UInt64(pages.count) + 1) : pages.lowerBound
  }

  /// The pages that the step holds: few, so that all of them are often mapped.
  var heldPages: Range<UInt64> { pages.lowerBound..<min(pages.upperBound, pages.lowerBound + 3) }
  /// What the device does with the pages that it holds.
  var access: Protection { byte % 3 == 0 ? .read : .write }

  init(using random: inout SeededGenerator) {
    func pick(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    let weights: [(Kind, Int)] = [
      (.mapAnonymous, 10), (.mapShared, 6), (.mapImage, 5), (.mapSegment, 8), (.write, 16),
      (.touch, 16), (.peek, 8),
      (.wire, 14),
      (.unwire, 9), (.protect, 9), (.fork, 6), (.remove, 4), (.end, 3), (.collapse, 2),
      (.compact, 4), (.hold, 6), (.release, 4), (.device, 6),
    ]
    var number = Int.random(in: 0..<weights.reduce(0) { $0 + $1.1 }, using: &random)
    kind = .write
    for (candidate, weight) in weights {
      if number < weight {
        kind = candidate
        break
      }
      number -= weight
    }
    space = Int.random(in: 0..<12, using: &random)
    let first = UInt64.random(in: 0..<ModelStep.pages, using: &random)
    let longest = pick(70) ? min(6, ModelStep.pages - first) : ModelStep.pages - first
    pages = first..<first + UInt64.random(in: 1...longest, using: &random)
    byte = UInt8.random(in: 1...250, using: &random)
    protection = [Protection.readWrite, .readWrite, .readWrite, .read, .all, .write, []]
      .randomElement(using: &random)!
    inheritance = [Inheritance.copy, .copy, .copy, .share, .none].randomElement(using: &random)!
    options = pick(30) ? .system : .user
    if pick(60) { options.insert(.holesOK) }
    if pick(10) { options.insert(.write) }
    options.insert(pick(50) ? .prefault : .faultPath)
    if pick(25) {
      switch Int.random(in: 0..<3, using: &random) {
      case 0: shortage = .frames(UInt64.random(in: 0..<6, using: &random))
      case 1: shortage = .translations(Int.random(in: 0..<5, using: &random))
      default: shortage = .pager(Int.random(in: 0..<2, using: &random))
      }
    }
  }
}
