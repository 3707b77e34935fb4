import Dispatch
import HoldfastCore
import HoldfastTestKit
import Testing

/// Threads that access a page while another thread zeroes it, copies it or pages it in, or a range
/// that is in transition for that: they wait, are woken, and find the expected contents.
///
/// The first thread lets the second one start, and gives it some time to reach its wait. If that is
/// too short, a test may miss an error; correct code never fails.
struct MeetingTests {
  enum Operation: CaseIterable, Sendable {
    case touch, touchCopy, touchImage, wire, wireCopy, wireImage

    /// The page that both threads access.
    var page: UInt64 {
      switch self {
      case .touch, .wire: 15
      case .touchCopy, .wireCopy: 3
      case .touchImage, .wireImage: 24
      }
    }

    /// Whether the range is in transition meanwhile.
    var isTransition: Bool {
      switch self {
      case .touch, .touchCopy, .touchImage: false
      default: true
      }
    }

    func perform(_ space: AddressSpace, _ machine: Machine, _ path: WirePath) throws {
      switch self {
      case .touch, .touchCopy: try space.fault(machine.address(page), .write)
      case .touchImage: try space.fault(machine.address(page), .read)
      case .wire, .wireCopy: try space.wire(machine.range(0..<20), path.options)
      case .wireImage: try space.wire(machine.range(20..<30), path.options)
      }
    }
  }

  enum Other: CaseIterable, Sendable {
    case faultRead, faultWrite, read, write, wire, remove, forkAndWrite

    func mustWait(for operation: Operation) -> Bool {
      if operation.isTransition { return true }
      switch self {
      // Pages of an object that others have stay. A fork leaves pages in the making to the parent.
      case .remove: return operation != .touchImage
      case .forkAndWrite: return false
      default: return true
      }
    }

    func perform(_ space: AddressSpace, _ machine: Machine, _ page: UInt64, _ path: WirePath) throws
    {
      let address = machine.address(page)
      switch self {
      case .faultRead: try space.fault(address, .read)
      case .faultWrite: try space.fault(address, .write)
      case .read: _ = try space.read(address, count: 1)
      case .write: try space.write([77], at: address + ByteCount(9))
      case .wire: try space.wire(machine.range(page..<page + 1), [.system, path.options])
      case .remove: try space.remove(machine.range(page..<page + 1))
      case .forkAndWrite:
        let child = try space.fork(pmap: CheckingPmap(geometry: machine.geometry))
        try withExtendedLifetime(child) {
          try space.write([78], at: machine.address(page + 1) + ByteCount(9))
        }
      }
    }
  }

  /// A child of 30 pages: 0..<10 are copies of the parent's, which the child has read, 10..<20 were
  /// absent, 20..<30 are copies of an image.
  private func makeFamily(_ operation: Operation, _ path: WirePath) throws -> (Family, TestPager) {
    let machine = Machine(frames: 512, dirty: true, wiredLimit: WiredLimit(.tebibytes(1)))
    let family = Family(machine)
    let pager = TestPager(pages: 10, geometry: machine.geometry)
    let image = MemoryObject(memory: machine.memory, size: PageCount(10), pager: pager)
    family.handles = [image]
    try family.spaces[0].map(at: machine.range(0..<20))
    try family.spaces[0].map(image, at: machine.range(20..<30), copyOnWrite: true)
    for page in 0..<10 as Range<UInt64> { try family.write(0, page, 40 + UInt8(page)) }
    _ = try family.fork(0)
    let space = family.spaces[1]
    for page in 0..<10 as Range<UInt64> { try space.fault(machine.address(page), .read) }
    return (family, pager)
  }

  @Test(arguments: Operation.allCases, Other.allCases)
  func `an operation that meets another one waits until it ends`(operation: Operation, other: Other)
    throws
  {
    for path in operation.isTransition ? WirePath.allCases : [.fault] {
      for fails in [false, true] { try meet(operation, other, path, fails: fails) }
    }
  }

  private func meet(
    _ operation: Operation, _ other: Other, _ path: WirePath, fails: Bool
  ) throws {
    let (family, pager) = try makeFamily(operation, path)
    let machine = family.machine
    let (space, pmap) = (family.spaces[1], family.pmaps[1])
    let found = ConcurrentFailures()
    let isOver = DispatchSemaphore(value: 0)
    let second: @Sendable () -> Void = {
      machine.store.beforeFilling(nil)
      pager.beforeReading(nil)
      let begun = DispatchSemaphore(value: 0)
      _ = runThreads(1, seconds: 0) { _ in
        begun.signal()
        do {
          try other.perform(space, machine, operation.page, path)
        } catch let error as HoldfastError {
          // A failed operation leaves the memory read-only, or the other one had to fail itself.
          let isExpected = error.code == .protectionFailure || error.code == .resourceShortage
          if !(fails && isExpected) { found.report("the other fails: \(error)") }
        } catch {
          found.report("\(error)")
        }
        isOver.signal()
      }
      begun.wait()
      if other.mustWait(for: operation),
        isOver.wait(timeout: .now() + .milliseconds(25)) == .success
      {
        found.report("the other does not wait")
        isOver.signal()
      }
      if fails {
        pmap.fail(at: 0)
        pager.fail(at: 0)
      }
    }
    machine.store.beforeFilling { _, _ in second() }
    pager.beforeReading { _ in second() }
    let done = runThreads(1, seconds: 10) { _ in
      let error = failure { try operation.perform(space, machine, path) }
      // If the other thread removed it, the page of a fault no longer exists.
      if !fails, let error, !(other == .remove && error.code == .invalidAddress) {
        found.report("it fails: \(error)")
      }
    }
    try #require(done, "it waits for ever")
    try #require(isOver.wait(timeout: .now() + .seconds(10)) == .success, "the other is not woken")
    pmap.fail(at: nil)
    pager.fail(at: nil)
    #expect(found.all == [])
    #expect(family.problems == [])
    if other == .remove {
      #expect(space.lookup(machine.address(operation.page)) == nil)
    } else if !fails {
      let original: UInt8 = [15: 0, 3: 43, 24: 5][operation.page] ?? 0
      #expect(try family.byte(1, operation.page) == (other == .write ? 77 : original))
    }
    #expect(try family.byte(0, 3) == 43 && family.byte(0, 24) == 5)
    try family.expectNothingLeft()
  }

  @Test(arguments: [Operation.touchCopy, .wireCopy])
  func `a thread that meets the source of a copy waits too`(operation: Operation) throws {
    for path in WirePath.allCases {
      let (family, _) = try makeFamily(operation, path)
      let machine = family.machine
      let (parent, space) = (family.spaces[0], family.spaces[1])
      let found = ConcurrentFailures()
      let isOver = DispatchSemaphore(value: 0)
      machine.store.beforeFilling { source, _ in
        if source == nil { return }
        machine.store.beforeFilling(nil)
        _ = runThreads(1, seconds: 0) { _ in
          for page in 0..<10 as Range<UInt64> {
            let error = failure { try parent.fault(machine.address(page), .read) }
            if let error { found.report("the other fails: \(error)") }
          }
          isOver.signal()
        }
        if isOver.wait(timeout: .now() + .milliseconds(25)) == .success {
          found.report("the other does not wait")
          isOver.signal()
        }
      }
      let done = runThreads(1, seconds: 10) { _ in
        let error = failure { try operation.perform(space, machine, path) }
        if let error { found.report("it fails: \(error)") }
      }
      try #require(done, "it waits for ever")
      try #require(isOver.wait(timeout: .now() + .seconds(10)) == .success, "it is not woken")
      #expect(found.all == [])
      #expect(family.problems == [])
      try family.expectNothingLeft()
    }
  }
}
