import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Behaviour 24: threads that fault, wire, fork, write, protect and remove over shared objects. Run
/// these with `--sanitize=thread` too. `SuiteSize` says how long.
///
/// One at a time, as each runs for a fixed time with a thread for each processor and more.
@Suite(.serialized) struct ForkConcurrencyTests {}

extension ForkConcurrencyTests {
  private typealias Guest = (space: AddressSpace, pmap: CheckingPmap)

  /// The state that the threads share: guests that are created and end.
  private final class Scene: @unchecked Sendable {
    static let pages: UInt64 = 96
    let machine: Machine
    let shared: MemoryObject
    let image: MemoryObject
    let findings = ConcurrentFailures()
    private let end: ContinuousClock.Instant
    private let lock = NSLock()
    private var guests: [Guest] = []
    private(set) var forks = 0

    init(frames: UInt64) throws {
      end = .now + .seconds(Int(SuiteSize.seconds))
      machine = Machine(frames: frames, dirty: true, wiredLimit: WiredLimit(.gibibytes(64)))
      shared = MemoryObject(memory: machine.memory, size: PageCount(32))
      let pager = TestPager(pages: 96, geometry: machine.geometry)
      image = MemoryObject(memory: machine.memory, size: PageCount(96), pager: pager)
      for _ in 0..<2 {
        let guest = machine.makeSpace()
        // 0..<32: the shared object; 32..<64: private memory; 64..<96: copies of the image.
        try map(guest, 0..<96)
        guests.append(guest)
      }
    }

    func map(_ guest: Guest, _ pages: Range<UInt64>) throws {
      for (area, object) in [(0..<32, shared), (32..<64, nil), (64..<96, image)]
        as [(Range<UInt64>, MemoryObject?)]
      {
        let part = pages.clamped(to: area)
        if part.isEmpty { continue }
        try guest.space.map(
          object, offset: PageIndex(object == nil ? 0 : part.lowerBound),
          at: machine.range(part), inheritance: area.lowerBound == 0 ? .share : .copy,
          copyOnWrite: area.lowerBound == 64)
      }
    }

    var isOver: Bool { ContinuousClock.now >= end }

    func pick(_ random: inout SeededGenerator) -> Guest {
      lock.withLock { guests.randomElement(using: &random)! }
    }

    /// Forks a guest, or ends one where there are many.
    func forkOrEnd(_ random: inout SeededGenerator) throws {
      let victim: Guest? = lock.withLock {
        guests.count < 6 ? nil : guests.remove(at: Int.random(in: 0..<6, using: &random))
      }
      if let victim {
        try victim.space.remove(victim.space.bounds)
        return
      }
      let pmap = CheckingPmap(geometry: machine.geometry)
      let child = try pick(&random).space.fork(pmap: pmap)
      lock.withLock {
        forks += 1
        guests.append((child, pmap))
      }
    }

    func attempt(_ body: () throws -> Void) {
      findings.tally()
      do {
        try body()
      } catch let error as HoldfastError {
        let expected: [HoldfastError.Code] = [
          .noSpace, .invalidAddress, .protectionFailure, .resourceShortage,
        ]
        if !expected.contains(error.code) { findings.report("\(error.code): \(error)") }
      } catch {
        findings.report("\(error)")
      }
    }

    /// The only byte except zero that a page ever holds, in every space.
    static func byte(_ page: UInt64) -> UInt8 { UInt8(page + 1) }

    func check(_ byte: UInt8, _ page: UInt64, _ reader: String) {
      if byte != 0, byte != Scene.byte(page) {
        findings.report("\(reader) finds \(byte) in page \(page)")
      }
      if page >= 64, byte == 0 {
        findings.report("\(reader) finds page \(page) of the image empty")
      }
    }

    func touch(_ guest: Guest, _ page: UInt64, writes: Bool) {
      let address = machine.address(page)
      let store = machine.store
      _ = guest.pmap.touch(address) { mapping in
        let offset = address - mapping.address
        let frame = mapping.frames.start + machine.geometry.pages(in: offset)
        check(store.byte(frame, ByteCount(99)), page, "the guest")
        if writes, mapping.protection.contains(.write) {
          let bytes = [Scene.byte(page)]
          store.write(bytes.span.bytes, to: frame, offset: ByteCount(99))
        }
      }
    }

    func finish() throws {
      for guest in guests { findings.report(guest.pmap.violations) }
      let problems = Invariants.problems(
        in: machine.memory, spaces: guests.map(\.space), handles: [shared, image])
      #expect(problems == [])
      for guest in guests { try guest.space.remove(guest.space.bounds) }
      shared.release()
      image.release()
      let left = machine.allocator.occupancy
      #expect(left.free == left.total && machine.wiredLimit.current == .zero)
      #expect(findings.all == [])
      #expect(forks > 10)
      print("ForkConcurrencyTests: \(findings.operations) operations, \(forks) forks")
    }
  }

  @Test(arguments: [1024, 300] as [UInt64])
  func `guests that fork, wire, write and end concurrently keep all invariants`(frames: UInt64)
    throws
  {
    let scene = try Scene(frames: frames)
    let machine = scene.machine
    let done = runThreads(6, seconds: 120) { thread in
      var random = SeededGenerator(seed: UInt64(thread))
      while !scene.isOver {
        let guest = scene.pick(&random)
        let space = guest.space
        let page = UInt64.random(in: 0..<Scene.pages, using: &random)
        let last = UInt64.random(in: page...min(Scene.pages, page + 30), using: &random)
        let range = machine.range(page..<last)
        let path = WirePath.allCases.randomElement(using: &random)!.options
        let options: WireOptions = Bool.random(using: &random) ? .user : .system
        switch Int.random(in: 0..<25, using: &random) {
        case 0..<4: scene.attempt { try space.wire(range, [options, path, .holesOK]) }
        case 4..<8: scene.attempt { try space.unwire(range, [options, .holesOK]) }
        case 8..<11: scene.attempt { try space.fault(range.start, .write) }
        case 11: scene.attempt { try space.fault(range.start, .read) }
        case 12..<15:
          scene.attempt { try space.write([Scene.byte(page)], at: range.start + ByteCount(99)) }
        case 15..<17:
          scene.attempt {
            scene.check(try space.read(range.start + ByteCount(99), count: 1)[0], page, "a read")
          }
        case 17:
          scene.attempt {
            try space.protect(range, Bool.random(using: &random) ? .read : .readWrite)
          }
        case 18: scene.attempt { try space.remove(range) }
        case 19: scene.attempt { try scene.map(guest, page..<last) }
        case 20: scene.attempt { try scene.forkOrEnd(&random) }
        case 21: space.object(at: range.start)?.collapse(waits: true)
        case 22: machine.memory.compact(superpages: 1)
        default: scene.touch(guest, page, writes: Bool.random(using: &random))
        }
      }
    }
    try #require(done, "threads hang")
    try scene.finish()
  }
}

extension ConcurrentFailures {
  fileprivate func report(_ problems: [String]) {
    for problem in problems { report(problem) }
  }
}
