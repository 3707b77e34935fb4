import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviours 8 and 9: a wiring that fails changes nothing.
struct ShortageTests {
  /// Maps 0..<50 as five entries that do not merge.
  private func mapFive(_ stage: Stage) throws {
    for index in 0..<5 as Range<UInt64> {
      let pages = index * 10..<index * 10 + 10
      try stage.map(pages, offset: pages.lowerBound, index % 2 == 0 ? .readWrite : .read)
    }
  }

  @Test(arguments: WirePath.allCases, 0..<5 as Range<UInt64>)
  func `the limit at any entry undoes those before`(path: WirePath, failing: UInt64) throws {
    let limit = Geometry.small.bytes(PageCount(failing * 10 + 5))
    for prewired in [false, true] {
      let stage = Stage(pages: 50, limit: WiredLimit(limit))
      try mapFive(stage)
      if prewired {
        // One entry is charged already, another is wired without a charge.
        if failing > 0 { #expect(stage.wire(0..<10, .user, path) == nil) }
        #expect(stage.wire(10..<20, .system, path) == nil)
        try stage.space.write([7], at: stage.machine.address(20))
      }
      let before = stage.snapshot
      let error = stage.wire(0..<50, .user, path)
      #expect(error?.code == .resourceShortage)
      #expect(error?.address == stage.machine.address(failing * 10))
      #expect(stage.snapshot == before)
      #expect(stage.problems == [])
      #expect(stage.wire(0..<50, .system, path) == nil)
      #expect(stage.machine.wiredLimit.current == before.charged)
      #expect(stage.problems == [])
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases, [false, true])
  func `a lack of a frame for any page undoes the wire`(path: WirePath, dirty: Bool) throws {
    let resident: [UInt64] = [3, 7, 8, 20, 49]
    for touched in [false, true] {
      let stage = Stage(pages: 50, frames: 256, dirty: dirty)
      try mapFive(stage)
      if touched {
        try stage.space.protect(stage.machine.range(0..<50), .readWrite)
        for page in resident {
          try stage.space.write([UInt8(page), 9], at: stage.machine.address(page))
        }
        for index in [1, 3] as [UInt64] {
          try stage.space.protect(stage.machine.range(index * 10..<index * 10 + 10), .read)
        }
      }
      let missing = (0..<50 as Range<UInt64>).filter { !touched || !resident.contains($0) }
      let before = stage.snapshot
      let zeroed = stage.machine.allocator.occupancy.zeroed
      for free in 0..<UInt64(missing.count) {
        let error = stage.machine.withFree(free) { stage.wire(0..<50, .user, path) }
        #expect(error?.code == .resourceShortage)
        #expect(error?.address == stage.machine.address(missing[Int(free)]))
        #expect(stage.snapshot == before, "with \(free) free frames")
        #expect(stage.problems == [], "with \(free) free frames")
        #expect(stage.machine.allocator.occupancy.zeroed <= zeroed)
        if touched {
          for page in resident {
            #expect(
              try stage.space.read(stage.machine.address(page), count: 3) == [UInt8(page), 9, 0])
          }
        }
      }
      let error = stage.machine.withFree(UInt64(missing.count)) { stage.wire(0..<50, .user, path) }
      #expect(error == nil)
      #expect(stage.problems == [])
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases, [0, 1, 511, 512, 513, 1024, 1029, 1030] as [UInt64])
  func `a lack of frames among superpages undoes the wire`(path: WirePath, free: UInt64) throws {
    let stage = Stage(pages: 2048)
    try stage.map(507..<1541, offset: 507)
    try stage.space.write([1], at: stage.machine.address(700))
    try stage.space.write([2], at: stage.machine.address(1535))
    let before = stage.snapshot
    let error = stage.machine.withFree(free) { stage.wire(507..<1541, .user, path) }
    #expect(error?.code == .resourceShortage)
    #expect(stage.snapshot == before)
    #expect(stage.problems == [])
    #expect(try stage.space.read(stage.machine.address(700), count: 2) == [1, 0])
    try stage.expectNothingLeft()
  }

  @Test(arguments: WirePath.allCases)
  func `a pmap that fails at any call undoes the wire`(path: WirePath) throws {
    let resident: [UInt64] = [2, 5, 6, 9, 11, 12, 13, 14, 40]
    for touched in [false, true] {
      let stage = Stage(pages: 50, frames: 256)
      try mapFive(stage)
      try stage.space.protect(stage.machine.range(0..<50), .readWrite)
      if touched {
        for page in resident {
          try stage.space.write([UInt8(page), 9], at: stage.machine.address(page))
          try stage.space.fault(stage.machine.address(page), .read)
        }
      }
      // Four entries, one of them wired before.
      try stage.space.protect(stage.machine.range(10..<20), .read)
      #expect(stage.wire(20..<30, .system, path) == nil)
      let before = stage.snapshot
      var call = 0
      while true {
        stage.pmap.fail(at: call)
        let error = stage.wire(0..<50, .user, path)
        stage.pmap.fail(at: nil)
        guard let error else { break }
        #expect(error.code == .resourceShortage && error.errno == 12)
        #expect(stage.snapshot == before, "call \(call)")
        #expect(stage.problems == [], "call \(call)")
        for page in touched ? resident : [] {
          #expect(
            try stage.space.read(stage.machine.address(page), count: 3) == [UInt8(page), 9, 0])
        }
        call += 1
      }
      #expect(call >= (path == .fault ? 40 : 3))
      #expect(stage.problems == [])
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `a pmap that fails among superpages undoes the wire`(path: WirePath) throws {
    let stage = Stage(pages: 2048)
    try stage.map(507..<1541, offset: 507)
    for page in [600, 1023, 1100] as [UInt64] {
      try stage.space.write([3], at: stage.machine.address(page))
      try stage.space.fault(stage.machine.address(page), .read)
    }
    let before = stage.snapshot
    for call in path == .prefault ? [0, 1, 2, 3, 4, 5] : [0, 4, 5, 92, 93, 94, 516, 517, 700] {
      stage.pmap.fail(at: call)
      let error = stage.wire(507..<1541, .user, path)
      #expect(error?.code == .resourceShortage, "call \(call)")
      #expect(stage.snapshot == before, "call \(call)")
      #expect(stage.problems == [], "call \(call)")
    }
    stage.pmap.fail(at: nil)
    #expect(stage.wire(507..<1541, .user, path) == nil)
    #expect(stage.problems == [])
    #expect(try stage.space.read(stage.machine.address(1023), count: 2) == [3, 0])
    try stage.expectNothingLeft()
  }

  @Test func `a fault without frames or translations changes nothing`() throws {
    for dirty in [false, true] {
      let stage = Stage(pages: 8, frames: 64, dirty: dirty)
      try stage.map(0..<8)
      let before = stage.snapshot
      let error = stage.machine.withFree(0) {
        failure { try stage.space.fault(stage.machine.address(3), .write) }
      }
      #expect(error?.code == .resourceShortage)
      #expect(error?.address == stage.machine.address(3))
      #expect(stage.snapshot == before)
      stage.pmap.fail(at: 0)
      let second = failure { try stage.space.fault(stage.machine.address(3), .write) }
      #expect(second?.code == .resourceShortage)
      // A dirty frame was zeroed before the pmap was asked; its page may stay, unmapped.
      if !dirty { #expect(stage.snapshot == before) }
      #expect(stage.problems == [])
      try stage.expectNothingLeft()
    }
  }

  @Test(arguments: WirePath.allCases)
  func `a fault on a wired page leaves its translation alone even if the pmap fails`(
    path: WirePath
  ) throws {
    let stage = Stage(pages: 1024)
    try stage.map(0..<1024)
    #expect(stage.wire(0..<1024, .user, path) == nil)
    stage.pmap.fail(at: 0)
    _ = failure { try stage.space.fault(stage.machine.address(700), .write) }
    #expect(stage.problems == [])
    try stage.expectNothingLeft()
  }
}
