import Foundation
import HoldfastCore
import HoldfastLinux
import HoldfastTestKit
import Testing

/// Guests that come, write and go while their memory is scrubbed. Run with `--sanitize=thread` too.
///
/// One at a time, as each has threads for all processors.
@Suite(.serialized) struct ScrubberConcurrencyTests {
  private let findings = ConcurrentFailures()
}

extension ScrubberConcurrencyTests {
  private func attempt(_ body: () throws -> Void) {
    do {
      try body()
    } catch {
      findings.report("\(error)")
    }
  }

  /// The guest looks at all of its pages, whose frames it knows from its translations, and writes.
  private func use(_ machine: Machine, _ pmap: CheckingPmap, _ byte: UInt8) {
    for mapping in pmap.mappings {
      if !machine.store.isZero(mapping.frames) { findings.report("fresh pages are not zero") }
      machine.store.soil(mapping.frames, with: byte)
    }
  }

  @Test func `all memory can be wired at any time, in superpages`() throws {
    let pages = UInt64(1 << 18)
    let machine = Machine(frames: pages, dirty: true)
    machine.memory.checkZeroed()
    let scrubber = try Scrubber(memory: machine.memory, options: Scrubber.Options(threads: 2))
    let done = runThreads(1) { _ in
      var random = SeededGenerator(seed: 5)
      for round in 0..<15 {
        let (space, pmap) = machine.makeSpace()
        attempt {
          try space.map(at: machine.range(0..<pages))
          try space.wire(machine.range(0..<pages))
        }
        let held = pmap.mappings.reduce(0) { $0 + $1.frames.count.rawValue }
        if held != pages { findings.report("only \(held) pages are wired in round \(round)") }
        if pmap.mappings.contains(where: { $0.frames.count < PageCount(512) }) {
          findings.report("a superpage was in pieces in round \(round)")
        }
        use(machine, pmap, UInt8(1 + round))
        attempt { try space.remove(space.bounds) }
        // Between not at all and half of it.
        usleep(UInt32.random(in: 0..<3000, using: &random))
      }
    }
    try #require(done, "threads hang")
    #expect(scrubber.waitUntilZeroed(atMost: .forIdleThreads))
    scrubber.stop()
    #expect(findings.all == [])
    #expect(machine.allocator.occupancy.zeroed == PageCount(pages))
    #expect(machine.allocator.largestFreeOrder == 18)
  }

  @Test func `guests that share the memory read zeros, and fail only if it is exhausted`() throws {
    // Three guests of at most a third each: none may ever run short.
    let guests = 3
    let pages = UInt64(512 * 12)
    let share = pages / UInt64(guests)
    let machine = Machine(frames: pages, dirty: true)
    machine.memory.checkZeroed()
    let scrubber = try Scrubber(memory: machine.memory, options: Scrubber.Options(threads: 2))
    let end = ContinuousClock.now + .seconds(2)
    let done = runThreads(guests + 1) { thread in
      var random = SeededGenerator(seed: UInt64(thread))
      if thread == guests {
        while ContinuousClock.now < end {
          scrubber.pause()
          if scrubber.statistics.beingZeroed != .zero { findings.report("a frame is being zeroed") }
          scrubber.resume()
          usleep(20_000)
        }
        return
      }
      let (space, pmap) = machine.makeSpace()
      while ContinuousClock.now < end {
        let count = UInt64.random(in: 1...share, using: &random)
        attempt {
          try space.map(at: machine.range(0..<count))
          if Bool.random(using: &random) {
            try space.wire(machine.range(0..<count))
            use(machine, pmap, UInt8(1 + thread))
            try space.remove(machine.range(count / 2..<count))
          } else {
            for page in stride(from: UInt64(0), to: count, by: 7) {
              try space.fault(machine.address(page), .write)
            }
            use(machine, pmap, UInt8(1 + thread))
          }
          try space.remove(space.bounds)
        }
      }
    }
    try #require(done, "threads hang")
    scrubber.stop()
    #expect(findings.all == [])
    let occupancy = machine.allocator.occupancy
    #expect(occupancy.free == PageCount(pages))
    #expect(scrubber.statistics.beingZeroed == .zero && scrubber.statistics.scrubbed > .zero)
  }

  @Test func `scrubbers can be started and stopped at any time`() throws {
    let machine = Machine(frames: 512 * 8, dirty: true)
    machine.memory.checkZeroed()
    let done = runThreads(4) { thread in
      for _ in 0..<40 {
        attempt {
          let scrubber = try Scrubber(
            memory: machine.memory,
            options: Scrubber.Options(
              threads: 1 + thread % 2, rate: thread == 0 ? .mebibytes(200) : nil))
          if let run = machine.allocator.takeDirty(largestOrder: 5) {
            machine.allocator.free(run, zeroed: false)
          }
          if thread == 3 { machine.memory.zeroFreeFrames() }
          scrubber.stop()
        }
      }
    }
    try #require(done, "threads hang")
    #expect(findings.all == [])
    #expect(machine.allocator.occupancy.free == PageCount(512 * 8))
  }
}
