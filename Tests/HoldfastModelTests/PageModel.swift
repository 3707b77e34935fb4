import HoldfastCore
import HoldfastTestKit

/// The contents that guests must find, by a model that has only pages: a dictionary of them for
/// each address space, and cells with a byte each, which pages of several spaces may share.
struct PageModel {
  struct Page {
    var cell: Int
    var protection: Protection
    var inheritance: Inheritance
    var isUserWired = false
    var systemWirings: UInt32 = 0

    var isAccessible: Bool { !protection.isDisjoint(with: [.read, .execute]) }
  }

  private(set) var spaces: [[UInt64: Page]] = [[:]]
  /// The cells of the pages of each hold, and whether the device writes.
  private(set) var holds: [(cells: [Int], writes: Bool)] = []
  private(set) var cells: [UInt8] = Array(repeating: 0, count: Int(ModelStep.pages))
  let limit: Int
  private let mapsAnywhere: Bool
  private let imageByte: (UInt64) -> UInt8

  /// The first cells are those of the object that spaces share, the next ones those of the segment,
  /// which spaces map at any address and whose pages a fork copies.
  init(limit: Int, mapsAnywhere: Bool, imageByte: @escaping (UInt64) -> UInt8) {
    self.mapsAnywhere = mapsAnywhere
    self.limit = limit
    self.imageByte = imageByte
    cells += (0..<ModelStep.segmentPages).map { imageByte($0) }
  }

  func byte(_ space: Int, _ page: UInt64) -> UInt8? { spaces[space][page].map { cells[$0.cell] } }

  private mutating func cell(_ byte: UInt8) -> Int {
    cells.append(byte)
    return cells.count - 1
  }

  private func isMapped(_ space: Int, _ pages: Range<UInt64>) -> Bool {
    pages.allSatisfy { spaces[space][$0] != nil }
  }

  /// Whether the step must succeed if nothing is short.
  func allows(_ step: ModelStep, _ space: Int) -> Bool {
    let pages = step.pages
    switch step.kind {
    case .mapAnonymous, .mapShared, .mapImage, .mapSegment:
      return pages.allSatisfy { spaces[space][$0] == nil }
    case .write, .touch:
      return spaces[space][pages.lowerBound]?.protection.contains(.write) ?? false
    case .peek: return spaces[space][pages.lowerBound]?.protection.contains(.read) ?? false
    case .wire:
      if !step.options.contains(.holesOK) {
        guard pages.allSatisfy({ isWirable(step, space, $0) }) else { return false }
      }
      if step.options.contains(.system) { return true }
      let wired = spaces.reduce(0) { $0 + $1.values.count(where: \.isUserWired) }
      let new = pages.count {
        isWirable(step, space, $0) && !(spaces[space][$0]?.isUserWired ?? true)
      }
      return wired + new <= limit
    case .unwire:
      if step.options.contains(.holesOK) { return true }
      guard isMapped(space, pages) else { return false }
      return !step.options.contains(.system)
        || pages.allSatisfy { spaces[space][$0]!.systemWirings > 0 }
    case .protect: return isMapped(space, pages)
    case .hold:
      return step.heldPages.allSatisfy {
        step.access.isSubset(of: spaces[space][$0]?.protection ?? [])
      }
    case .fork, .remove, .end, .collapse, .compact, .release, .device: return true
    }
  }

  private func isWirable(_ step: ModelStep, _ space: Int, _ page: UInt64) -> Bool {
    guard let page = spaces[space][page], page.isAccessible else { return false }
    return !step.options.contains(.write) || page.protection.contains(.write)
  }

  /// The step succeeded.
  mutating func perform(_ step: ModelStep, _ space: Int) {
    switch step.kind {
    case .mapAnonymous, .mapShared, .mapImage, .mapSegment:
      for page in step.pages {
        let cell =
          switch step.kind {
          case .mapShared: Int(page)
          case .mapSegment:
            Int(
              ModelStep.pages + step.segmentPage(isAnywhere: mapsAnywhere) + page
                - step.pages.lowerBound)
          case .mapImage: cell(imageByte(page))
          default: cell(0)
          }
        spaces[space][page] = Page(
          cell: cell, protection: step.protection,
          inheritance: step.kind == .mapShared ? .share : step.inheritance)
      }
    case .write, .touch:
      if let page = spaces[space][step.pages.lowerBound] { cells[page.cell] = step.byte }
    case .wire:
      for page in step.pages where isWirable(step, space, page) {
        if step.options.contains(.system) {
          spaces[space][page]!.systemWirings += 1
        } else {
          spaces[space][page]!.isUserWired = true
        }
      }
    case .unwire:
      for page in step.pages where spaces[space][page] != nil {
        if !step.options.contains(.system) {
          spaces[space][page]!.isUserWired = false
        } else if spaces[space][page]!.systemWirings > 0 {
          spaces[space][page]!.systemWirings -= 1
        }
      }
    case .protect: for page in step.pages { spaces[space][page]!.protection = step.protection }
    case .fork:
      var child: [UInt64: Page] = [:]
      // Pages that map the same memory do so in the child too.
      var copies: [Int: Int] = [:]
      for (number, var page) in spaces[space] where page.inheritance != .none {
        page.isUserWired = false
        page.systemWirings = 0
        if page.inheritance == .copy {
          let copy = copies[page.cell] ?? cell(cells[page.cell])
          copies[page.cell] = copy
          page.cell = copy
        }
        child[number] = page
      }
      spaces.append(child)
    case .remove: for page in step.pages { spaces[space][page] = nil }
    case .end: spaces.remove(at: space)
    case .hold:
      holds.append(
        (step.heldPages.map { spaces[space][$0]!.cell }, step.access.contains(.write)))
    case .release: holds.remove(at: Int(step.byte) % holds.count)
    case .device:
      // A held page's frame is the page, mapped or not.
      let (hold, page) = heldPage(step)
      if holds[hold].writes { cells[holds[hold].cells[page]] = step.byte }
    case .collapse, .compact, .peek: break
    }
  }

  /// The hold and the page of it to which a device writes.
  func heldPage(_ step: ModelStep) -> (hold: Int, page: Int) {
    let hold = Int(step.byte) % holds.count
    return (hold, Int(step.pages.lowerBound) % holds[hold].cells.count)
  }

  /// Whether the step can be done: the numbers of spaces and holds have limits.
  func isPossible(_ step: ModelStep, mostSpaces: Int) -> Bool {
    switch step.kind {
    case .fork: spaces.count < mostSpaces
    case .end: spaces.count > 1
    case .hold: holds.count < ModelStep.mostHolds
    case .release, .device: !holds.isEmpty
    default: true
    }
  }
}
