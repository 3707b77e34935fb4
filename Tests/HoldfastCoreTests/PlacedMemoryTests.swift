import HoldfastTestKit
import Testing

@testable import HoldfastCore

/// Contiguous frames, and the memory of a guest that is placed in them.
struct PlacedMemoryTests {
  @Test func `a run starts at a largest block where possible, otherwise at a superpage`() throws {
    let machine = Machine(frames: 3 << 18, dirty: true)
    var dirty: [FrameRun] = []
    #expect(machine.allocator.allocate(Frame(5)) != nil)
    let aligned = try #require(machine.allocator.allocateContiguous(PageCount(700), dirty: &dirty))
    #expect(aligned == FrameRun(Frame(1 << 18), PageCount(700)))
    #expect(dirty.reduce(PageCount.zero) { $0 + $1.count } == aligned.count)
    let next = try #require(
      machine.allocator.allocateContiguous(PageCount(1 << 18), dirty: &dirty))
    #expect(next.start == Frame(2 << 18))
    // In no block of the largest order the first frame is free.
    let low = try #require(machine.allocator.allocateContiguous(PageCount(513), dirty: &dirty))
    #expect(low.start == Frame(512))
    #expect(machine.allocator.allocateContiguous(PageCount(1 << 18), dirty: &dirty) == nil)
    let free = machine.allocator.occupancy.free
    #expect(!machine.allocator.allocate(FrameRun(Frame(1023), PageCount(4000)), dirty: &dirty))
    #expect(machine.allocator.occupancy.free == free)
  }

  @Test func `any run of free frames is found, and no other`() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<60 {
      let pages = UInt64.random(in: 1...6000, using: &random)
      let machine = Machine(geometry: Geometry(shift: 12, levels: 1), frames: pages)
      var taken = Set<UInt64>()
      for _ in 0..<Int.random(in: 0..<8, using: &random) {
        let frame = UInt64.random(in: 0..<pages, using: &random)
        if machine.allocator.allocate(Frame(frame)) != nil { taken.insert(frame) }
      }
      let count = UInt64.random(in: 1...3000, using: &random)
      let expected = stride(from: 0, to: pages, by: 512).first { start in
        start + count <= pages && !(start..<start + count).contains(where: taken.contains)
      }
      var dirty: [FrameRun] = []
      let found = machine.allocator.allocateContiguous(PageCount(count), dirty: &dirty)
      #expect(found?.start.rawValue == expected)
    }
  }

  @Test func `placed memory is zero and is freed with its last object`() throws {
    let machine = Machine(frames: 8192)
    var none: [FrameRun] = []
    #expect(machine.allocator.allocate(FrameRun(Frame(100), PageCount(300)), dirty: &none))
    machine.store.soil(FrameRun(Frame(100), PageCount(300)), with: 7)
    machine.allocator.free(FrameRun(Frame(100), PageCount(300)), zeroed: false)
    do {
      let (memory, start, zeroed) = try #require(machine.memory.placed(PageCount(2000)))
      #expect(start == Frame(0) && memory.isPlaced && !machine.memory.isPlaced)
      #expect(machine.allocator.occupancy.free == PageCount(8192 - 2000))
      #expect(memory.allocator.occupancy.zeroed == PageCount(2000) && zeroed == PageCount(300))
      #expect(machine.store.isZero(FrameRun(start, PageCount(2000))))
      let pmap = CheckingPmap(geometry: machine.geometry)
      let space = try AddressSpace(bounds: machine.range(0..<2000), memory: memory, pmap: pmap)
      let object = MemoryObject(memory: memory, size: PageCount(1500))
      #expect(object.place(PageIndex(10), at: start + PageCount(50)))
      #expect(object.place(PageIndex(0), at: start + PageCount(60)))
      #expect(object.place(PageIndex(10), at: start + PageCount(50)))
      try space.map(object, offset: PageIndex(10), at: machine.range(50..<1500))
      for path in WirePath.allCases {
        let summary = try space.wire(machine.range(50..<1500), path.options)
        #expect(path == .fault || summary.zeroedNow == .zero)
        #expect(!object.place(PageIndex(0), at: start))
        for mapping in pmap.mappings {
          #expect(mapping.frames.start.rawValue << 12 == mapping.address.rawValue)
          #expect(machine.store.isZero(mapping.frames))
        }
        #expect(Invariants.problems(in: memory, spaces: [space], handles: [object]) == [])
        try space.unwire(machine.range(50..<1500))
      }
      #expect(memory.compact().moved == .zero)
      #expect(failure { _ = try space.fork(pmap: NullPmap()) }?.code == .invalidArgument)
      try space.remove(space.bounds)
      object.release()
      #expect(machine.allocator.occupancy.free == PageCount(8192 - 2000))
    }
    let occupancy = machine.allocator.occupancy
    #expect(occupancy.free == PageCount(8192) && occupancy.zeroed == PageCount(8192 - 2000))
  }

  @Test func `reservations are broken for a placed guest's contiguous run`() throws {
    let machine = Machine(frames: 4096)
    let (space, _) = machine.makeSpace()
    try space.map(at: machine.range(0..<4096))
    for page in stride(from: UInt64(0), to: 4096, by: 512) {
      try space.fault(machine.address(page + 3), .write)
    }
    #expect(machine.allocator.occupancy.free == .zero)
    let placed = try #require(machine.memory.placed(PageCount(3000)))
    #expect(placed.memory.allocator.occupancy.total == PageCount(3000))
    #expect(machine.memory.placed(PageCount(1500)) == nil)
    #expect(Invariants.problems(in: machine.memory, spaces: [space], held: PageCount(3000)) == [])
    try space.remove(space.bounds)
  }
}
