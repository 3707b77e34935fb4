import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Windows in which first accesses fail, for processors that serve them.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct ProcessorWindowTests {}

extension ProcessorWindowTests {
  /// How many faults handler threads have served for this access; nil if it succeeded.
  private func handled(_ place: PagedPlace, _ page: UInt64) -> UInt64? {
    let before = place.handler.statistics.demandFaults
    return place.isReachable(page) ? nil : place.handler.statistics.demandFaults - before
  }

  @Test func `an access to a page that was never entered fails, without a handler`() throws {
    let place = try PagedPlace(forProcessors: true)
    #expect(place.window.isForProcessors)
    #expect(handled(place, 5) == 0)
    try place.enter(5, 5..<6)
    #expect(handled(place, 5) == nil && handled(place, 6) == 0 && handled(place, 600) == 0)
    try place.enter(7, 7..<9)
    #expect((0..<12).allSatisfy { place.isPresent($0) == [5, 7, 8].contains($0) })
    #expect(try place.entered(0..<2048) == 3 * place.page)
    // The bytes are those of the frames.
    let start = UnsafeMutablePointer<UInt64>(bitPattern: UInt(place.window.hostRange.address))!
    start[7 * 512] = 99
    #expect(place.arena.memory.store.isZero(FrameRun(Frame(5), PageCount(1))))
    #expect(!place.arena.memory.store.isZero(FrameRun(Frame(7), PageCount(1))))
  }

  @Test func `a page that is removed is a handler thread's, and the others stay`() throws {
    let place = try PagedPlace(forProcessors: true)
    for page in UInt64(0)..<8 { try place.enter(page, page..<page + 1) }
    place.window.remove(place.range(2..<4))
    #expect(handled(place, 2) == 1 && handled(place, 3) == 1)
    for page in [0, 1, 4, 5, 6, 7] as [UInt64] {
      #expect(handled(place, page) == nil && place.isPresent(page))
    }
    // Another region's absent pages are the processors' still.
    #expect(handled(place, 700) == 0)
    place.window.handOver(nil)
    #expect(!place.window.isForProcessors && handled(place, 701) == 1)
    #expect([0, 1, 4, 5, 6, 7].allSatisfy { place.isPresent($0) })
  }

  @Test func `without room to split a mapping all of it is handed over, with its pages`() throws {
    var host = HostProbe().host()
    host.maximumMapCount = 1
    let place = try PagedPlace(host: host, forProcessors: true)
    // The window has room for no other mapping, but for those that are made by hand.
    let whole = WindowMappings.Mapping(
      0..<512 * place.page, delta: 0, isTrapped: true, isFailing: true, access: .readWrite)
    let first = WindowExtents.Extent(
      range: 0..<8 * place.page, delta: 0, protection: .readWrite)
    try place.window.lock.withLock { try place.window.mapInPlace(whole, first) }
    place.window.remove(place.range(2..<4))
    #expect((0..<8).allSatisfy { place.isPresent($0) == ![2, 3].contains($0) })
    // A page that was never entered, too. (A handler thread has no room to refuse an access.)
    for page in [2, 3, 100] as [UInt64] {
      let mapping = place.window.mapping(at: page * place.page)
      #expect(mapping.isTrapped && !mapping.isFailing)
    }
    #expect(handled(place, 600) == 0)
    #expect(kernelMappings(place.window.hostRange) == place.window.mappingCount)
  }

  @Test func `a page that becomes read-only traps the write for a handler thread`() throws {
    let place = try PagedPlace(forProcessors: true)
    for page in UInt64(0)..<4 { try place.enter(page, page..<page + 1) }
    place.window.protect(place.range(1..<2), .read)
    #expect(place.isPresent(1) && handled(place, 1) == nil)
    let before = place.handler.statistics.copyFaults
    // The kernel writes; the handler of this place refuses what nothing is mapped for.
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0 && write(ends[1], "x", 1) == 1)
    defer { for end in ends { close(end) } }
    let target = UnsafeMutableRawPointer(
      bitPattern: UInt(place.window.hostRange.address + place.page))!
    #expect(read(ends[0], target, 1) == -1 && errno == EFAULT)
    #expect(place.handler.statistics.copyFaults == before + 1)
  }

  /// The window against a list of what was done to each page, and the kernel's own lists.
  @Test func `random changes leave each page what it should be`() throws {
    let seed = UInt64.random(in: 1...1 << 32)
    var generator = SeededGenerator(seed: seed)
    // A region that was accessed once is never mapped anew, so begin often.
    for _ in 0..<12 { try change(PagedPlace(forProcessors: true), &generator, seed) }
  }

  private func change(
    _ place: PagedPlace, _ generator: inout SeededGenerator, _ seed: UInt64
  ) throws {
    var entered = [Bool](repeating: false, count: 2048)
    var isHandled = [Bool](repeating: false, count: 2048)
    for step in 0..<30 {
      let first = UInt64.random(in: 0..<2048, using: &generator)
      let end = min(2048, first + UInt64.random(in: 1...40, using: &generator))
      let pages = first..<end
      switch UInt64.random(in: 0..<8, using: &generator) {
      case 0..<5:
        for page in pages where !entered[Int(page)] {
          try place.enter(page, page..<page + 1)
          entered[Int(page)] = true
        }
      case 5..<7:
        place.window.remove(place.range(pages))
        for page in pages where entered[Int(page)] {
          entered[Int(page)] = false
          isHandled[Int(page)] = true
        }
      default:
        place.window.handOver(place.range(pages))
        for page in pages { isHandled[Int(page)] = true }
      }
      let mappings = kernelMappings(place.window.hostRange)
      #expect(mappings == place.window.mappingCount, "step \(step), seed \(seed)")
      // Each page that was removed must be a handler thread's; so may be others beside it.
      for page in UInt64(0)..<2048 {
        let moment = "page \(page), step \(step), seed \(seed)"
        let isPresent = place.isPresent(page)
        #expect(isPresent == entered[Int(page)], "\(moment)")
        let mapping = place.window.mapping(at: page * place.page)
        #expect(!isHandled[Int(page)] || !mapping.isFailing, "\(moment)")
        if isPresent != entered[Int(page)] { return }
      }
    }
    // The flags are the kernel's.
    for page in stride(from: UInt64(0), to: 2048, by: 13) where !entered[Int(page)] {
      let isFailing = place.window.mapping(at: page * place.page).isFailing
      #expect(handled(place, page) == (isFailing ? 0 : 1), "page \(page)")
    }
  }

  @Test func `without the kernel's feature handler threads serve all faults`() throws {
    var host = HostProbe().host()
    host.userFault.features &= ~UserFaultFeature.signal.mask
    let place = try PagedPlace(host: host, forProcessors: true)
    #expect(!place.window.isForProcessors && handled(place, 3) == 1)
  }

  @Test func `a processor's fault is an error once the handler has stopped`() throws {
    let place = try PagedPlace(forProcessors: true)
    place.handler.stop()
    let error = #expect(throws: HoldfastError.self) { try place.handler.serve(.zero, .read) }
    #expect(error?.code == .guestFault)
  }

  @Test func `transparent huge pages have no first accesses that fail`() throws {
    guard HostNeeds.sharedHugePages else { return }
    #expect(try !PagedPlace(.thp, forProcessors: true).window.isForProcessors)
  }
}

extension PagedWindow {
  fileprivate func mapping(at offset: UInt64) -> WindowMappings.Mapping {
    lock.withLock { mappings.mapping(at: offset) }
  }
}
