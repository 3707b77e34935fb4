import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 5 to 7 and 10: how user and system wirings count.
struct WireCountTests {
  @Test(arguments: WirePath.allCases)
  func `any number of user wirings end with one unwiring`(path: WirePath) throws {
    let stage = Stage(pages: 8)
    try stage.map(0..<8)
    for _ in 0..<5 { #expect(stage.wire(0..<8, .user, path) == nil) }
    #expect(stage.machine.wiredLimit.current == stage.machine.geometry.bytes(PageCount(8)))
    #expect(stage.snapshot.objects[0].map(\.wireCount) == [1])
    #expect(stage.unwire(0..<8) == nil)
    #expect(stage.machine.wiredLimit.current == .zero)
    #expect(stage.snapshot.objects[0].map(\.wireCount) == [0])
    #expect(stage.wiredInPmap == 0)
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `system wirings nest, and a user wiring on top survives one unwiring`(
    path: WirePath
  ) throws {
    let stage = Stage(pages: 8)
    try stage.map(0..<8)
    for _ in 0..<3 { #expect(stage.wire(0..<8, .system, path) == nil) }
    #expect(stage.wire(0..<8, .user, path) == nil)
    for _ in 0..<3 {
      #expect(stage.wiredInPmap == 8)
      #expect(stage.unwire(0..<8, .system) == nil)
    }
    #expect(stage.wiredInPmap == 8)
    #expect(stage.unwire(0..<8, .system)?.code == .invalidArgument)
    #expect(stage.wire(0..<8, .system, path) == nil)
    #expect(stage.unwire(0..<8) == nil)
    #expect(stage.wiredInPmap == 8)
    #expect(stage.unwire(0..<8, .system) == nil)
    #expect(stage.wiredInPmap == 0)
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `unwiring what is not wired is an error for the system and nothing for the user`(
    path: WirePath
  ) throws {
    let stage = Stage(pages: 30)
    try stage.map(0..<30)
    #expect(stage.wire(0..<10, .system, path) == nil)
    let before = stage.snapshot
    let error = stage.unwire(0..<30, .system)
    #expect(error?.code == .invalidArgument)
    #expect(error?.address == stage.machine.address(10))
    #expect(stage.snapshot == before)
    #expect(stage.unwire(0..<30, .user) == nil)
    #expect(stage.snapshot == before)
    #expect(stage.unwire(5..<30, [.system, .holesOK]) == nil)
    #expect(stage.wiredInPmap == 5)
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  /// What each of the four operations does.
  private enum Step: Int, CaseIterable {
    case userWire, userUnwire, systemWire, systemUnwire
  }

  @Test(arguments: WirePath.allCases)
  func `charge, entry, pages and translations agree after wirings in any order`(
    path: WirePath
  ) throws {
    let stage = Stage(pages: 3, frames: 64)
    let range = stage.machine.range(0..<3)
    let length = 6
    for number in 0..<(1 << (2 * length)) {
      var isUser = false
      var system: UInt32 = 0
      try stage.map(0..<3)
      for place in 0..<length {
        let step = Step.allCases[number >> (2 * place) & 3]
        var expected: HoldfastError.Code?
        let error: HoldfastError?
        switch step {
        case .userWire:
          isUser = true
          error = stage.wire(0..<3, .user, path)
        case .userUnwire:
          isUser = false
          error = stage.unwire(0..<3)
        case .systemWire:
          system += 1
          error = stage.wire(0..<3, .system, path)
        case .systemUnwire:
          if system == 0 { expected = .invalidArgument } else { system -= 1 }
          error = stage.unwire(0..<3, .system)
        }
        let isWired = isUser || system > 0
        let view = stage.space.lookup(.zero)
        let state = stage.object.state(of: PageIndex(1))
        let mapping = stage.pmap.mapping(at: stage.machine.address(1))
        let agrees =
          error?.code == expected && view?.range == range && view?.isUserWired == isUser
          && view?.systemWirings == system
          && stage.machine.wiredLimit.current == (isUser ? range.length : .zero)
          && (state?.wireCount ?? 0) == (isWired ? 1 : 0)
          && (mapping?.isWired ?? false) == isWired
        guard agrees else {
          Issue.record("\(step), step \(place) of sequence \(number): \(String(describing: view))")
          return
        }
      }
      try stage.space.remove(range)
      #expect(stage.machine.wiredLimit.current == .zero)
      #expect(stage.object.state(of: PageIndex(1))?.wireCount ?? 0 == 0)
    }
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a page that several mappings wire stays wired until the last one unwires it`(
    path: WirePath
  ) throws {
    let stage = Stage(pages: 20)
    let (other, otherPmap) = stage.machine.makeSpace()
    try stage.map(0..<20)
    try stage.map(100..<110, offset: 5)
    try other.map(stage.object, offset: PageIndex(8), at: stage.machine.range(0..<4))
    #expect(stage.wire(0..<20, .user, path) == nil)
    #expect(stage.wire(100..<110, .user, path) == nil)
    try other.wire(stage.machine.range(0..<4), [.system, path.options])
    #expect(stage.wireCounts == [1, 2, 3, 2, 1])
    #expect(stage.unwire(0..<20) == nil)
    #expect(stage.wireCounts == [0, 1, 2, 1, 0])
    try stage.space.remove(stage.machine.range(100..<110))
    #expect(stage.wireCounts == [0, 1, 0])
    try other.remove(other.bounds)
    #expect(stage.wireCounts == [0])
    #expect(otherPmap.mappings.isEmpty && otherPmap.violations.isEmpty)
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }
}
