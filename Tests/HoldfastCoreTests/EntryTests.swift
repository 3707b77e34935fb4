import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 11 and 12: how wiring cuts entries and merges them again.
struct EntryTests {
  /// What is mapped in 0..<30.
  enum Kind: CaseIterable {
    case untouched, touched, shared
  }

  private func stage(_ kind: Kind) throws -> Stage {
    let stage = Stage(pages: 100, frames: 256)
    if kind == .shared {
      try stage.map(0..<30, offset: 11)
    } else {
      try stage.space.map(at: stage.machine.range(0..<30))
    }
    if kind != .untouched { try stage.space.write([5], at: stage.machine.address(12)) }
    return stage
  }

  private func ranges(_ stage: Stage) -> [Range<UInt64>] {
    stage.space.entryViews.map { view in
      view.range.start.rawValue >> 12..<view.range.end.rawValue >> 12
    }
  }

  @Test(arguments: WirePath.allCases, Kind.allCases)
  func `wiring the middle makes three entries, unwiring it one`(
    path: WirePath, kind: Kind
  ) throws {
    for options in [WireOptions.user, .system] {
      let stage = try stage(kind)
      let before = stage.snapshot.entries
      #expect(stage.wire(10..<20, options, path) == nil)
      #expect(ranges(stage) == [0..<10, 10..<20, 20..<30])
      #expect(stage.space.entryViews.map(\.isUserWired) == [false, options == .user, false])
      #expect(stage.wiredInPmap == 10)
      #expect(stage.unwire(10..<20, options) == nil)
      #expect(stage.snapshot.entries == before)
      #expect(stage.wiredInPmap == 0)
      if kind != .untouched {
        #expect(try stage.space.read(stage.machine.address(12), count: 2) == [5, 0])
      }
      try stage.space.remove(stage.machine.range(0..<30))
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases, Kind.allCases)
  func `entries that a failed wire clipped merge again`(path: WirePath, kind: Kind) throws {
    let stage = try stage(kind)
    let before = stage.snapshot
    for free in 0..<9 as Range<UInt64> {
      let error = stage.machine.withFree(free) { stage.wire(10..<20, .user, path) }
      #expect(error?.code == .resourceShortage)
      #expect(stage.snapshot == before)
    }
    stage.pmap.fail(at: 0)
    #expect(stage.wire(10..<20, .user, path)?.code == .resourceShortage)
    #expect(stage.snapshot == before)
    // The hole behind is met after the end of the entry was wired.
    #expect(stage.wire(25..<31, .user, path)?.code == .invalidAddress)
    #expect(stage.snapshot == before)
    #expect(stage.unwire(25..<31)?.code == .invalidAddress)
    #expect(stage.unwire(5..<25, .system)?.code == .invalidArgument)
    #expect(stage.snapshot == before)
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `overlapping parts are wired once each and merge when they are equal`(path: WirePath) throws
  {
    let stage = try stage(.shared)
    #expect(stage.wire(5..<15, .user, path) == nil)
    #expect(stage.wire(10..<20, .user, path) == nil)
    #expect(ranges(stage) == [0..<5, 5..<20, 20..<30])
    #expect(stage.wire(10..<20, .system, path) == nil)
    #expect(ranges(stage) == [0..<5, 5..<10, 10..<20, 20..<30])
    #expect(stage.unwire(0..<12) == nil)
    #expect(ranges(stage) == [0..<10, 10..<12, 12..<20, 20..<30])
    #expect(stage.wiredInPmap == 10)
    #expect(stage.unwire(12..<30) == nil)
    #expect(ranges(stage) == [0..<10, 10..<20, 20..<30])
    #expect(stage.unwire(10..<20, .system) == nil)
    #expect(ranges(stage) == [0..<30])
    #expect(stage.wireCounts == [0])
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `an empty range succeeds and clips nothing`(path: WirePath) throws {
    let stage = try stage(.shared)
    let before = stage.snapshot
    for page in [0, 7, 30, 50] as [UInt64] {
      for options in [WireOptions.user, .system, .write, .holesOK] {
        #expect(stage.wire(page..<page, options, path) == nil)
        #expect(stage.unwire(page..<page, options) == nil)
      }
      try stage.space.protect(stage.machine.range(page..<page), .read)
      try stage.space.remove(stage.machine.range(page..<page))
    }
    #expect(stage.snapshot == before)
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a range that is not page-aligned is an error`(path: WirePath) throws {
    let stage = try stage(.shared)
    let before = stage.snapshot
    let whole = stage.machine.range(10..<20)
    for range in [
      AddressRange(from: whole.start + ByteCount(1), to: whole.end),
      AddressRange(from: whole.start, to: whole.end - ByteCount(1)),
    ] {
      #expect(failure { try stage.space.wire(range, path.options) }?.code == .invalidArgument)
      #expect(failure { try stage.space.unwire(range) }?.code == .invalidArgument)
      #expect(failure { try stage.space.protect(range, .read) }?.code == .invalidArgument)
      #expect(failure { try stage.space.remove(range) }?.code == .invalidArgument)
    }
    #expect(stage.snapshot == before)
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `protecting a part of a wired entry changes its translations, not its wiring`(
    path: WirePath
  ) throws {
    let stage = try stage(.shared)
    #expect(stage.wire(0..<30, .user, path) == nil)
    try stage.space.protect(stage.machine.range(10..<20), .read)
    #expect(ranges(stage) == [0..<10, 10..<20, 20..<30])
    #expect(stage.problems == [])
    let error = failure { try stage.space.write([1], at: stage.machine.address(10)) }
    #expect(error?.code == .protectionFailure)
    try stage.space.protect(stage.machine.range(10..<20), [])
    #expect(stage.problems == [])
    #expect(stage.unwire(15..<16) == nil)
    try stage.space.protect(stage.machine.range(0..<30), .readWrite)
    #expect(ranges(stage) == [0..<15, 15..<16, 16..<30])
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }
}
