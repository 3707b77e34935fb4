import HoldfastCore

/// The contents that guests and devices must find, by a model without objects and frames: cells of a
/// byte each, those of the shared object first.
struct FuzzContents {
  private let size: FuzzSize
  private var cells: [UInt8]
  private var places: [[UInt64: Int]] = [[:], [:]]
  /// The cells of the pages of each hold.
  private(set) var holds: [[Int]] = []

  init(_ size: FuzzSize) {
    self.size = size
    cells = Array(repeating: 0, count: Int(size.shared))
  }

  /// The byte of a page, or nil where nothing is mapped.
  func byte(_ space: Int, _ page: UInt64) -> UInt8? { places[space][page].map { cells[$0] } }

  /// The bytes of the pages of each hold.
  var heldBytes: [[UInt8]] { holds.map { $0.map { cells[$0] } } }

  /// How often each page of the shared object is held.
  var holdCounts: [UInt16] {
    var counts = [UInt16](repeating: 0, count: Int(size.shared))
    for cell in holds.joined() where cell < counts.count { counts[cell] += 1 }
    return counts
  }

  /// The step succeeded.
  mutating func perform(_ step: FuzzStep) {
    switch step {
    case .map(let space, let pages, let offset, _):
      for page in pages {
        if let offset {
          places[space][page] = Int(offset + page - pages.lowerBound)
        } else {
          places[space][page] = cells.count
          cells.append(0)
        }
      }
    case .write(let space, let page, let byte, _):
      if let cell = places[space][page] { cells[cell] = byte }
    case .remove(let space, let pages): for page in pages { places[space][page] = nil }
    case .hold(let space, let pages, _, _): holds.append(pages.compactMap { places[space][$0] })
    case .release(let number): holds.remove(at: number)
    case .device(let number, let page, let byte): cells[holds[number][page]] = byte
    default: break
    }
  }
}
