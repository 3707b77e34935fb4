import HoldfastCore
import HoldfastTestKit
import Testing

/// Operations that use the same pages at the same time: which waits for which. Each thread stops
/// when it first enters a translation, its pages busy, until the others have reached that point.
struct WaitingTests {
  @Test(arguments: WirePath.allCases, WirePath.allCases)
  func `wires that need each other's busy pages both succeed`(
    first: WirePath, second: WirePath
  ) throws {
    let machine = Machine(frames: 256, dirty: true)
    let spaces = [machine.makeSpace(), machine.makeSpace()]
    let objects = (0..<2).map { _ in MemoryObject(memory: machine.memory, size: PageCount(8)) }
    let barrier = Barrier(2)
    for (index, (space, pmap)) in spaces.enumerated() {
      try space.map(objects[index], at: machine.range(0..<8))
      try space.map(objects[1 - index], at: machine.range(8..<16))
      pmap.beforeEntering { [machine] _, address in
        if address == machine.address(0) { barrier.arrive() }
      }
    }
    let done = runThreads(2, seconds: 10) { index in
      let path = index == 0 ? first : second
      #expect(failure { try spaces[index].space.wire(machine.range(0..<16), path.options) } == nil)
    }
    try #require(done, "they wait for each other")
    for object in objects {
      let pages = machine.pages(of: object, frames: false)
      #expect(pages.map(\.wireCount) == [2] && pages.allSatisfy { $0.isValid && !$0.isBusy })
    }
    for (space, pmap) in spaces {
      #expect(machine.problems(in: space, pmap) == [])
      try space.remove(space.bounds)
    }
    for object in objects { object.release() }
    #expect(machine.allocator.occupancy.free == PageCount(256))
  }

  @Test(arguments: WirePath.allCases, WirePath.allCases)
  func `wires that have different parts of one object and need each other's both succeed`(
    first: WirePath, second: WirePath
  ) throws {
    let machine = Machine(frames: 256, dirty: true)
    let spaces = [machine.makeSpace(), machine.makeSpace()]
    let object = MemoryObject(memory: machine.memory, size: PageCount(8))
    // One space maps the end of the object first, the other maps all of it by one entry.
    try spaces[0].space.map(object, offset: PageIndex(4), at: machine.range(0..<4))
    try spaces[0].space.map(object, at: machine.range(4..<8), protection: .all)
    try spaces[1].space.map(object, at: machine.range(0..<8))
    let begun = Barrier(2)
    let met = Barrier(2)
    spaces[0].pmap.beforeEntering { [machine] _, address in
      guard address == machine.address(first == .prefault ? 0 : 3) else { return }
      begun.arrive()
      met.arrive()
    }
    spaces[1].pmap.beforeEntering { [machine] _, address in
      if address == machine.address(second == .prefault ? 0 : 3) { met.arrive() }
    }
    let done = runThreads(2, seconds: 10) { index in
      if index == 1 { begun.arrive() }
      let path = index == 0 ? first : second
      #expect(failure { try spaces[index].space.wire(machine.range(0..<8), path.options) } == nil)
    }
    try #require(done, "they wait for each other")
    #expect(machine.pages(of: object, frames: false).map(\.wireCount) == [2])
    for (space, pmap) in spaces {
      #expect(machine.problems(in: space, pmap) == [])
      try space.remove(space.bounds)
    }
    object.release()
    #expect(machine.allocator.occupancy.free == PageCount(256))
  }

  @Test(arguments: WirePath.allCases)
  func `a wire that waits for an entry in transition has no busy pages`(path: WirePath) throws {
    let machine = Machine(frames: 256, dirty: true)
    let (space, pmap) = machine.makeSpace()
    let object = MemoryObject(memory: machine.memory, size: PageCount(8))
    // One thread wires the object, then the range that the other has in transition; the other wires
    // the object.
    try space.map(object, at: machine.range(0..<8))
    try space.map(at: machine.range(8..<16))
    try space.map(object, at: machine.range(16..<24))
    let barrier = Barrier(2)
    pmap.beforeEntering { [machine] _, address in
      if address == machine.address(0) || address == machine.address(8) { barrier.arrive() }
    }
    let done = runThreads(2, seconds: 10) { index in
      let pages: Range<UInt64> = index == 0 ? 0..<16 : 8..<24
      let error = failure {
        try space.wire(machine.range(pages), [.system, path.options])
      }
      #expect(error == nil)
    }
    try #require(done, "they wait for each other")
    #expect(space.entryViews.map(\.systemWirings) == [1, 2, 1])
    #expect(machine.pages(of: object, frames: false).map(\.wireCount) == [2])
    #expect(machine.problems(in: space, pmap) == [])
    try space.remove(space.bounds)
    object.release()
    #expect(machine.allocator.occupancy.free == PageCount(256))
  }

  /// What a thread may do to pages that another one is wiring.
  enum Waiter: CaseIterable {
    case read, write, fault, wire, remove, protect, unwire

    func perform(_ space: AddressSpace, _ range: AddressRange) throws {
      switch self {
      case .read:
        let bytes = try space.read(range.start, count: 9)
        if bytes.contains(where: { $0 != 0 }) { Issue.record("it reads \(bytes)") }
      case .write: try space.write([1, 2], at: range.start)
      case .fault: try space.fault(range.start, .write)
      case .wire: try space.wire(range, .system)
      case .remove: try space.remove(range)
      case .protect: try space.protect(range, .read)
      case .unwire: try space.unwire(range)
      }
    }
  }

  @Test(arguments: WirePath.allCases, Waiter.allCases)
  func `operations that meet a wire wait until it ends`(path: WirePath, waiter: Waiter) throws {
    for fails in [false, true] {
      let machine = Machine(frames: 64, dirty: true)
      let (space, pmap) = machine.makeSpace()
      try space.map(at: machine.range(0..<8))
      let range = machine.range(2..<6)
      let barrier = Barrier(2)
      let place = machine.address(2)
      pmap.beforeEntering { _, address in if address == place { barrier.arrive() } }
      if fails { pmap.fail(at: 0) }
      let errors = ConcurrentFailures()
      let done = runThreads(2, seconds: 10) { index in
        if index > 0 {
          barrier.arrive()
          pmap.beforeEntering(nil)
        }
        do {
          if index == 0 {
            try space.wire(range, path.options)
          } else {
            try waiter.perform(space, range)
          }
        } catch {
          errors.report("\(index): \(error)")
        }
      }
      try #require(done, "a thread waits for ever")
      #expect(errors.all.map { $0.prefix(1) } == (fails ? ["0"] : []))
      let view = try #require(space.lookup(machine.address(0)))
      #expect(!view.isInTransition && !view.isUserWired)
      let middle = space.lookup(place)
      switch waiter {
      case .remove: #expect(middle == nil)
      case .unwire: #expect(middle?.isUserWired == false)
      default: #expect(middle?.isUserWired == !fails)
      }
      if waiter == .write { #expect(try space.read(place, count: 3) == [1, 2, 0]) }
      #expect(machine.problems(in: space, pmap) == [])
      try space.remove(space.bounds)
      #expect(machine.allocator.occupancy.free == PageCount(64))
    }
  }

  @Test(arguments: WirePath.allCases)
  func `another space waits for busy pages and gets them, wired or not`(path: WirePath) throws {
    for fails in [false, true] {
      let machine = Machine(frames: 64, dirty: true)
      let spaces = [machine.makeSpace(), machine.makeSpace(), machine.makeSpace()]
      let object = MemoryObject(memory: machine.memory, size: PageCount(8))
      let range = machine.range(0..<8)
      for (space, _) in spaces { try space.map(object, at: range) }
      let barrier = Barrier(3)
      spaces[0].pmap.beforeEntering { _, address in
        if address == .zero { barrier.arrive() }
      }
      if fails { spaces[0].pmap.fail(at: 0) }
      let done = runThreads(3, seconds: 10) { index in
        if index > 0 { barrier.arrive() }
        let error = failure {
          switch index {
          case 0: try spaces[0].space.wire(range, path.options)
          case 1: try spaces[1].space.wire(range, path.options)
          default: try spaces[2].space.write([7], at: machine.address(0))
          }
        }
        #expect((error != nil) == (fails && index == 0))
      }
      try #require(done, "a thread waits for ever")
      #expect(machine.pages(of: object, frames: false).map(\.wireCount) == [fails ? 1 : 2])
      for (space, pmap) in spaces {
        #expect(try space.read(machine.address(0), count: 2) == [7, 0])
        #expect(machine.problems(in: space, pmap, sharing: [SharedArea(range, object)]) == [])
        try space.remove(range)
      }
      object.release()
      #expect(machine.allocator.occupancy.free == PageCount(64))
    }
  }

  @Test func `an unwire that had to wait wakes the threads that wait for it`() throws {
    for _ in 0..<8 {
      let machine = Machine(frames: 64, dirty: true)
      let (space, pmap) = machine.makeSpace()
      try space.map(at: machine.range(0..<8))
      let ends = [Barrier(2), Barrier(2)]
      // The unwiring has the first page in transition and waits for the second one's wiring; a
      // third thread waits for the first page.
      pmap.beforeEntering { [machine] _, address in
        guard address == machine.address(4) else { return }
        _ = runThreads(1, seconds: 0) { _ in
          #expect(failure { try space.unwire(machine.range(0..<8)) } == nil)
          ends[0].arrive()
        }
        while space.lookup(.zero)?.isInTransition == false {}
        _ = runThreads(1, seconds: 0) { _ in
          #expect(failure { try space.fault(.zero, .read) } == nil)
          ends[1].arrive()
        }
      }
      let done = runThreads(3, seconds: 10) { index in
        if index < 2 { ends[index].arrive() }
        if index == 2 {
          #expect(failure { try space.wire(machine.range(4..<8), .prefault) } == nil)
        }
      }
      try #require(done, "a thread is not woken")
      #expect(machine.problems(in: space, pmap) == [])
      try space.remove(space.bounds)
    }
  }
}
