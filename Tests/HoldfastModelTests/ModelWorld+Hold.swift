import HoldfastCore
import HoldfastTestKit

/// Steps of devices, which access pages that they hold by their frames.
extension ModelWorld {
  func hold(_ step: ModelStep, _ space: AddressSpace, _ range: AddressRange) throws {
    let pages = try space.hold(range, for: step.access)
    let geometry = machine.geometry
    var frames: [Address: Frame] = [:]
    space.forEachResident(in: range) { address, run, state in
      if state.wireCount == 0 { return }
      for page in 0..<run.count.rawValue {
        frames[address + geometry.bytes(PageCount(page))] = run.start + PageCount(page)
      }
    }
    let held = step.heldPages.compactMap {
      frames[address($0).roundedDown(to: geometry.pageSize)]
    }
    guard held.count == step.heldPages.count else {
      throw Wrong("a page that is held is not resident")
    }
    holds.append((pages, held))
  }

  func writeAsDevice(_ step: ModelStep) {
    let (hold, page) = model.heldPage(step)
    guard model.holds[hold].writes else { return }
    let bytes = [step.byte]
    machine.store.write(
      bytes.span.bytes, to: holds[hold].frames[page], offset: ModelWorld.inset)
  }

  /// The first frame that has not the contents of the page for which it is held.
  func contentsOfHolds() -> String? {
    for (number, hold) in holds.enumerated() {
      for (page, frame) in hold.frames.enumerated() {
        let expected = model.cells[model.holds[number].cells[page]]
        let found = machine.store.byte(frame, ModelWorld.inset)
        if found != expected {
          return "page \(page) of hold \(number) has \(found), not \(expected)"
        }
      }
    }
    return nil
  }

  /// What is wrong with the pages that are held: their contents, or that a guest's page with the
  /// same cell has another frame, or one with another cell the same frame.
  func holdProblem() -> String? {
    if holds.isEmpty { return nil }
    if let problem = contentsOfHolds() { return problem }
    var frames: [Int: Frame] = [:]
    var cells: [Frame: Int] = [:]
    for (hold, expected) in zip(holds, model.holds) {
      for (cell, frame) in zip(expected.cells, hold.frames) {
        if frames[cell] ?? frame != frame || cells[frame] ?? cell != cell {
          return "frame \(frame) of cell \(cell) is held with others"
        }
        frames[cell] = frame
        cells[frame] = cell
      }
    }
    for (index, (_, pmap)) in spaces.enumerated() {
      for (page, expected) in model.spaces[index] {
        var found: Frame?
        let address = address(page)
        _ = pmap.touch(address) { mapping in
          found = mapping.frames.start + machine.geometry.pages(in: address - mapping.address)
        }
        guard let found else { continue }
        let cell = expected.cell
        if frames[cell] ?? found != found || cells[found] ?? cell != cell {
          return "page \(page) of space \(index) has frame \(found), against the holds"
        }
      }
    }
    return nil
  }
}
