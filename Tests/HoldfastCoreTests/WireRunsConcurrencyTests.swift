import Dispatch
import HoldfastCore
import HoldfastTestKit
import Synchronization
import Testing

/// Other threads at work while a wire copies superpages. Run with `--sanitize=thread` too.
struct WireRunsConcurrencyTests {
  fileprivate static let pages: UInt64 = 8 * 512

  /// A parent with resident superpages, a child to wire, and another child.
  private func makeFamily() throws -> Family {
    let family = try Family(pages: 0..<Self.pages, frames: 8 * Self.pages)
    let range = family.machine.range(0..<Self.pages)
    try family.spaces[0].wire(range)
    try family.spaces[0].unwire(range)
    for page in stride(from: UInt64(0), to: Self.pages, by: 64) {
      try family.write(0, page, Self.byte(page))
    }
    _ = try family.fork(0)
    _ = try family.fork(0)
    return family
  }

  private static func byte(_ page: UInt64) -> UInt8 { UInt8(1 + page / 64 % 250) }

  enum Other: CaseIterable, Sendable {
    case faultParent, forkParent, unmapSibling, compact, readChild, wireSibling

    func perform(
      _ family: (parent: AddressSpace, child: AddressSpace, sibling: AddressSpace),
      _ machine: Machine
    ) throws {
      let all = machine.range(0..<WireRunsConcurrencyTests.pages)
      switch self {
      case .faultParent:
        for page in stride(from: UInt64(0), to: WireRunsConcurrencyTests.pages, by: 128) {
          try family.parent.fault(machine.address(page), .write)
          try family.parent.write([200], at: machine.address(page) + ByteCount(9))
        }
      case .forkParent:
        let grandchild = try family.parent.fork(pmap: CheckingPmap(geometry: machine.geometry))
        try grandchild.fault(machine.address(64), .write)
        try grandchild.remove(all)
      case .unmapSibling: try family.sibling.remove(all)
      case .compact: machine.memory.compact()
      case .readChild: _ = try family.child.read(machine.address(64) + ByteCount(9), count: 1)
      case .wireSibling:
        try family.sibling.wire(all)
        try family.sibling.unwire(all)
      }
    }
  }

  @Test(arguments: Other.allCases, [false, true])
  func `an operation that begins during the copies ends, and changes none of them`(
    other: Other, fails: Bool
  ) throws {
    let family = try makeFamily()
    let machine = family.machine
    let spaces = (family.spaces[0], family.spaces[1], family.spaces[2])
    let found = ConcurrentFailures()
    let isOver = DispatchSemaphore(value: 0)
    let copied = Atomic<Int>(0)
    machine.store.beforeFilling { source, _ in
      guard source != nil, copied.wrappingAdd(1, ordering: .relaxed).oldValue == 2 else { return }
      // In the middle of a batch: copies before and after this one are under way.
      let begun = DispatchSemaphore(value: 0)
      _ = runThreads(1, seconds: 0) { _ in
        begun.signal()
        if let error = failure({ try other.perform(spaces, machine) }) {
          found.report("the other fails: \(error)")
        }
        isOver.signal()
      }
      begun.wait()
      if isOver.wait(timeout: .now() + .milliseconds(20)) == .success { isOver.signal() }
    }
    if fails { family.pmaps[1].fail(at: 0) }
    let done = runThreads(1, seconds: 30) { _ in
      let error = failure { try spaces.1.wire(machine.range(0..<Self.pages)) }
      if (error?.code == .resourceShortage) != fails { found.report("\(error as Any)") }
    }
    try #require(done, "the wire does not end")
    try #require(isOver.wait(timeout: .now() + .seconds(30)) == .success, "the other does not end")
    machine.store.beforeFilling(nil)
    family.pmaps[1].fail(at: nil)
    #expect(found.all == [])
    for page in stride(from: UInt64(0), to: Self.pages, by: 64) {
      #expect(try family.byte(1, page) == Self.byte(page))
      let isChanged = other == .faultParent && page % 128 == 0
      #expect(try family.byte(0, page) == (isChanged ? 200 : Self.byte(page)))
    }
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }

  /// The pages are claimed and copied in batches of 64 MiB, so a thread that needs a page of the
  /// parent waits for one batch and not for all.
  @Test func `the source of a copy is not busy for the whole of a large wire`() throws {
    let batch: UInt64 = (64 << 20) / 4096
    let family = try Family(pages: 0..<3 * batch, frames: 7 * batch)
    let machine = family.machine
    let range = machine.range(0..<3 * batch)
    try family.spaces[0].wire(range)
    try family.spaces[0].unwire(range)
    let number = try family.fork(0)
    let (parent, child) = (family.spaces[0], family.spaces[number])
    let found = ConcurrentFailures()
    machine.store.beforeFilling { source, filled in
      guard source != nil, filled[0].count >= .one else { return }
      found.tally()
      if found.operations > 1 { return }
      // Pages of later batches are free to be used.
      let done = runThreads(1, seconds: 10) { _ in
        for page in [batch, 2 * batch, 3 * batch - 1] {
          if let error = failure({ try parent.fault(machine.address(page), .read) }) {
            found.report("\(error)")
          }
        }
      }
      if !done { found.report("a page of another batch is busy") }
    }
    let done = runThreads(1, seconds: 30) { _ in
      if let error = failure({ try child.wire(range) }) { found.report("\(error)") }
    }
    try #require(done, "the wire does not end")
    machine.store.beforeFilling(nil)
    #expect(found.all == [] && found.operations >= 3)
    #expect(family.problems == [])
    try family.expectNothingLeft()
  }
}
