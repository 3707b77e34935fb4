import HoldfastCore
import HoldfastTestKit
import Testing

struct ZeroAuditTests {
  @Test func `freeing a frame as zeroed that is not zero traps and names the frame`() async throws {
    let result = try #require(
      await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
        let machine = Machine(frames: 1024)
        machine.memory.checkZeroed()
        var dirty: [FrameRun] = []
        let run = machine.allocator.allocate(order: 3, dirty: &dirty)!.run
        machine.store.soil(FrameRun(run.start + PageCount(5), .one), with: 1)
        machine.allocator.free(run, zeroed: true)
      })
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(text.contains("frame 5 is freed as zeroed but is not zero"))
  }

  @Test func `allocating a zeroed frame that was written to traps and names the frame`()
    async throws
  {
    let result = try #require(
      await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
        let machine = Machine(frames: 1024)
        machine.memory.checkZeroed()
        machine.store.soil(FrameRun(Frame(77), .one), with: 1)
        var dirty: [FrameRun] = []
        _ = machine.allocator.allocate(order: 9, dirty: &dirty)
      })
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(text.contains("frame 77 is handed out as zeroed but is not zero"))
  }

  @Test func `dirty frames may hold anything`() throws {
    let machine = Machine(frames: 1024, dirty: true)
    machine.memory.checkZeroed()
    var dirty: [FrameRun] = [FrameRun(Frame(9999), .one)]
    let all = try (0..<2).map { _ in
      try #require(machine.allocator.allocate(order: 9, dirty: &dirty)).run
    }
    machine.store.zero([FrameRun(Frame(100), PageCount(50))])
    for run in all where !run.contains(Frame(100)) { machine.allocator.free(run, zeroed: false) }
    machine.allocator.free(FrameRun(Frame(0), PageCount(100)), zeroed: false)
    machine.allocator.free(FrameRun(Frame(100), PageCount(50)), zeroed: true)
    machine.allocator.free(FrameRun(Frame(150), PageCount(362)), zeroed: false)
    dirty = [FrameRun(Frame(9999), .one)]
    #expect(machine.allocator.allocate(order: 9, dirty: &dirty)?.isZeroed == false)
    #expect(dirty.count == 3)
    #expect(machine.allocator.allocate(Frame(600))?.isZeroed == false)
  }

  @Test func `zeroFreeFrames zeroes all dirty frames`() throws {
    let machine = Machine(frames: 5000, dirty: true)
    machine.memory.checkZeroed()
    let held = try #require(machine.allocator.allocate(Frame(700))).run
    #expect(machine.memory.zeroFreeFrames() == PageCount(4999))
    #expect(machine.store.zeroed == PageCount(4999))
    let occupancy = machine.allocator.occupancy
    #expect(occupancy.zeroed == PageCount(4999) && occupancy.free == PageCount(4999))
    #expect(machine.store.byte(held.start, .zero) == 0xA5)
    #expect(machine.memory.zeroFreeFrames() == .zero)
    machine.memory.forgetZeroedFrames()
    #expect(machine.allocator.occupancy.zeroed == .zero)
    #expect(machine.allocator.occupancy.free == PageCount(4999))
  }
}
