package import HoldfastCore

/// What can be observed of a machine, its spaces and the objects they share at one moment, to be
/// compared with another moment or with another machine.
///
/// Left out are the objects' offsets in entries of anonymous memory, which may get its object by an
/// operation that fails later, and translations, which `Machine.problems` checks.
package struct Snapshot: Hashable, Sendable {
  /// A map entry.
  package struct Entry: Hashable, Sendable {
    package var range: AddressRange
    package var protection: Protection
    package var maximumProtection: Protection
    package var systemWirings: UInt32
    package var isUserWired: Bool
    package var isInTransition: Bool
  }

  /// Resident pages of an object that are alike, the longest run of them.
  package struct Pages: Hashable, Sendable {
    package var range: PageRange
    /// The first page's frame; nil where frames are left out.
    package var frame: Frame?
    package var isValid: Bool
    package var isBusy: Bool
    package var wireCount: UInt16
  }

  package var entries: [[Entry]]
  package var objects: [[Pages]]
  package var charged: ByteCount
  package var free: PageCount
}

extension Machine {
  /// What can be observed now.
  ///
  /// - Parameter frames: whether it matters in which frames pages are; not between machines.
  package func snapshot(
    of spaces: [AddressSpace], sharing objects: [MemoryObject] = [], frames: Bool = true
  ) -> Snapshot {
    Snapshot(
      entries: spaces.map { space in
        space.entryViews.map { view in
          Snapshot.Entry(
            range: view.range, protection: view.protection,
            maximumProtection: view.maximumProtection, systemWirings: view.systemWirings,
            isUserWired: view.isUserWired, isInTransition: view.isInTransition)
        }
      },
      objects: objects.map { pages(of: $0, frames: frames) },
      charged: wiredLimit.current,
      free: memory.available)
  }

  /// The resident pages of an object in the longest runs that are alike.
  package func pages(of object: MemoryObject, frames: Bool = true) -> [Snapshot.Pages] {
    var runs: [Snapshot.Pages] = []
    object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
      if let last = runs.last, last.range.end == range.start, last.isValid == state.isValid,
        last.isBusy == state.isBusy, last.wireCount == state.wireCount,
        last.frame.map({ $0 + last.range.count == state.frame }) ?? true
      {
        runs[runs.count - 1].range = PageRange(last.range.start, range.end)
      } else {
        runs.append(
          Snapshot.Pages(
            range: range, frame: frames ? state.frame : nil, isValid: state.isValid,
            isBusy: state.isBusy, wireCount: state.wireCount))
      }
    }
    return runs
  }

  /// Takes frames away so that only so many are free, while `body` runs.
  ///
  /// - Precondition: at least as many are free.
  @discardableResult
  package func withFree<Result>(_ count: UInt64, _ body: () throws -> Result) rethrows -> Result {
    // What they hold would be given out too.
    memory.reservations.breakAll()
    var dirty: [FrameRun] = []
    var held: [FrameAllocator.Allocation] = []
    while allocator.occupancy.free > PageCount(count) {
      let excess = allocator.occupancy.free - PageCount(count)
      let order = min(
        geometry.maximumOrder, UInt64.bitWidth - 1 - excess.rawValue.leadingZeroBitCount)
      guard let block = allocator.allocateLargest(order: order, dirty: &dirty) else { break }
      held.append(block)
    }
    defer { for block in held { allocator.free(block.run, zeroed: block.isZeroed) } }
    return try body()
  }
}
