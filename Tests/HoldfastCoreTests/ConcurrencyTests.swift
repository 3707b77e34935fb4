import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Threads that use the same memory. Run these with `--sanitize=thread` too.
///
/// One at a time, as each runs for a fixed time with a thread for each processor and more.
@Suite(.serialized) struct ConcurrencyTests {}

extension ConcurrencyTests {
  /// The state that a test and its threads share.
  private final class Scene: @unchecked Sendable {
    let machine: Machine
    let object: MemoryObject
    let spaces: [(space: AddressSpace, pmap: CheckingPmap)]
    private let findings = ConcurrentFailures()
    private let end = ContinuousClock.now + .seconds(Int(SuiteSize.seconds))

    init(pages: UInt64, frames: UInt64, spaces count: Int) {
      machine = Machine(frames: frames, dirty: true, wiredLimit: WiredLimit(.gibibytes(64)))
      object = MemoryObject(memory: machine.memory, size: PageCount(pages))
      spaces = (0..<count).map { [machine] _ in machine.makeSpace() }
    }

    var isOver: Bool { ContinuousClock.now >= end }
    var problems: [String] { findings.all }

    func report(_ problem: String) { findings.report(problem) }

    /// Runs an operation, which may fail because other threads remove memory meanwhile.
    func attempt(_ body: () throws -> Void) {
      findings.tally()
      do {
        try body()
      } catch let error as HoldfastError {
        if error.code == .noSpace || error.code == .invalidAddress { return }
        if error.code == .protectionFailure || error.code == .resourceShortage { return }
        report("\(error.code): \(error)")
      } catch {
        report("\(error)")
      }
    }

    /// The only byte that is ever written to a page, so that a byte of another page is a leak.
    static func byte(_ page: UInt64) -> UInt8 { UInt8(1 + page % 150) }

    func check(_ bytes: [UInt8], _ page: UInt64, _ reader: String) {
      for byte in bytes where byte != 0 && byte != Scene.byte(page) {
        report("\(reader) finds \(byte) in page \(page)")
      }
    }

    /// The guest accesses a page by its translation, if there is one, and may write.
    func touch(_ index: Int, at address: UInt64, page: UInt64, write: Bool) {
      let place = machine.address(address)
      let store = machine.store
      _ = spaces[index].pmap.touch(place) { mapping in
        let frame = mapping.frames.start + machine.geometry.pages(in: place - mapping.address)
        for offset in [0, 99, 4095] as [UInt64] {
          check([store.byte(frame, ByteCount(offset))], page, "the guest")
        }
        if write, mapping.protection.contains(.write) {
          let bytes = [Scene.byte(page)]
          store.write(bytes.span.bytes, to: frame, offset: ByteCount(99))
        }
      }
    }

    /// Removes all mappings and expects that nothing is left.
    func finish(_ sourceLocation: SourceLocation = #_sourceLocation) throws {
      for (space, pmap) in spaces {
        #expect(machine.problems(in: space, pmap) == [], sourceLocation: sourceLocation)
        try space.remove(space.bounds)
        #expect(pmap.mappings.isEmpty && pmap.violations == [], sourceLocation: sourceLocation)
      }
      object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
        if state.wireCount != 0 || state.isBusy || !state.isValid {
          report("pages \(range) are left \(state)")
        }
      }
      object.release()
      let left = machine.allocator.occupancy
      #expect(left.free == left.total, sourceLocation: sourceLocation)
      #expect(machine.wiredLimit.current == .zero, sourceLocation: sourceLocation)
      #expect(problems == [], sourceLocation: sourceLocation)
      print("ConcurrencyTests: \(findings.operations) operations")
    }
  }

  @Test func `threads that do everything to one space keep all invariants`() throws {
    // Addresses 0..<1600 are private memory; page 512 has a superpage.
    let scene = Scene(pages: 64, frames: 8192, spaces: 1)
    let pages = UInt64(1600)
    let space = scene.spaces[0].space
    let machine = scene.machine
    try space.map(at: machine.range(0..<pages))
    let done = runThreads(6) { thread in
      var random = SeededGenerator(seed: UInt64(thread))
      while !scene.isOver {
        let first = UInt64.random(in: 0..<pages, using: &random)
        let isShort = Int.random(in: 0..<4, using: &random) > 0
        let last = UInt64.random(
          in: first...min(pages, first + (isShort ? 40 : pages)), using: &random)
        let range = machine.range(first..<last)
        let path = WirePath.allCases.randomElement(using: &random)!.options
        let options: WireOptions = Bool.random(using: &random) ? .user : .system
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<3: scene.attempt { try space.wire(range, [options, path, .holesOK]) }
        case 3: scene.attempt { try space.wire(range, [options, path]) }
        case 4..<7: scene.attempt { try space.unwire(range, [options, .holesOK]) }
        case 7..<10: scene.attempt { try space.fault(range.start, .write) }
        case 10..<13:
          scene.attempt {
            try space.write([Scene.byte(first)], at: range.start + ByteCount(5))
          }
        case 13..<16:
          scene.attempt {
            scene.check(try space.read(range.start, count: 100), first, "a read")
          }
        case 16:
          scene.attempt {
            try space.protect(range, Bool.random(using: &random) ? .read : .readWrite)
          }
        case 17: scene.attempt { try space.remove(range) }
        case 18: scene.attempt { if !range.isEmpty { try space.map(at: range) } }
        default: scene.touch(0, at: first, page: first, write: Bool.random(using: &random))
        }
      }
    }
    try #require(done, "threads hang")
    try scene.finish()
  }

  @Test func `two spaces wire one object from opposite ends by both paths`() throws {
    let pages = UInt64(1200)
    let scene = Scene(pages: pages, frames: 4096, spaces: 2)
    let machine = scene.machine
    // The object in three parts, in ascending order in one space and descending in the other.
    let parts: [Range<UInt64>] = [0..<500, 500..<900, 900..<1200]
    /// The address of each page.
    func address(_ index: Int, _ page: UInt64) -> UInt64 {
      guard index == 1, let part = parts.first(where: { $0.contains(page) }) else { return page }
      return pages - part.upperBound + (page - part.lowerBound)
    }
    for index in 0..<2 {
      for part in parts {
        let start = address(index, part.lowerBound)
        try scene.spaces[index].space.map(
          scene.object, offset: PageIndex(part.lowerBound),
          at: machine.range(start..<start + UInt64(part.count)),
          protection: part.lowerBound == 500 ? .all : .readWrite)
      }
    }
    let whole = machine.range(0..<pages)
    let places = (0..<2).map { index in (0..<pages).map { address(index, $0) } }
    let done = runThreads(6) { thread in
      var random = SeededGenerator(seed: UInt64(100 + thread))
      let index = thread % 2
      let space = scene.spaces[index].space
      while !scene.isOver {
        if thread < 2 {
          let path = WirePath.allCases.randomElement(using: &random)!.options
          scene.attempt {
            try space.wire(whole, path)
            try space.unwire(whole)
          }
          continue
        }
        let page = UInt64.random(in: 0..<pages, using: &random)
        let place = machine.address(places[index][Int(page)])
        switch Int.random(in: 0..<4, using: &random) {
        case 0: scene.attempt { try space.write([Scene.byte(page)], at: place) }
        case 1: scene.attempt { scene.check(try space.read(place, count: 50), page, "a read") }
        case 2:
          let low = UInt64.random(in: 0..<pages, using: &random)
          let part = machine.range(low..<min(pages, low + 60))
          scene.attempt {
            try space.wire(part, [.system, .faultPath])
            try space.unwire(part, .system)
          }
        default:
          scene.touch(index, at: places[index][Int(page)], page: page, write: thread < 4)
        }
      }
    }
    try #require(done, "threads hang")
    try scene.finish()
  }

  @Test func `wires of two objects in opposite order do not wait for each other`() throws {
    // Each round starts with nothing resident, so that both have busy pages when they meet.
    let machine = Machine(frames: 4096, dirty: true)
    let scene = Scene(pages: 1, frames: 64, spaces: 0)
    let spaces = [machine.makeSpace(), machine.makeSpace()]
    let done = runThreads(1) { _ in
      while !scene.isOver {
        let objects = (0..<2).map { _ in
          MemoryObject(memory: machine.memory, size: PageCount(64))
        }
        let path = WirePath.allCases.randomElement()!.options
        for index in 0..<2 {
          for part in 0..<2 as Range<UInt64> {
            let object = objects[index == 0 ? Int(part) : 1 - Int(part)]
            scene.attempt {
              try spaces[index].space.map(object, at: machine.range(part * 64..<part * 64 + 64))
            }
          }
        }
        let isOver = runThreads(2, seconds: 50) { index in
          scene.attempt { try spaces[index].space.wire(machine.range(0..<128), path) }
        }
        guard isOver else {
          scene.report("two wirings wait for each other")
          return
        }
        for (space, pmap) in spaces {
          if !machine.problems(in: space, pmap).isEmpty {
            scene.report("\(machine.problems(in: space, pmap))")
          }
          scene.attempt { try space.remove(space.bounds) }
        }
        for object in objects { object.release() }
      }
    }
    try #require(done, "threads hang")
    #expect(machine.allocator.occupancy.free == PageCount(4096))
    try scene.finish()
  }
}
