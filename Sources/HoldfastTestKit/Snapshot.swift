package import HoldfastCore

/// The observable state of a machine, its spaces and the objects that they share at one moment, to
/// be compared with another moment or another machine.
///
/// It does not contain the objects' offsets in entries of anonymous memory, which may get its
/// object in an operation that fails later, nor translations, which `Machine.problems` checks.
package struct Snapshot: Hashable, Sendable {
  /// A map entry.
  package struct Entry: Hashable, Sendable {
    /// The addresses.
    package var range: AddressRange
    /// The permitted accesses.
    package var protection: Protection
    /// The accesses that may be permitted.
    package var maximumProtection: Protection
    /// The number of system wirings.
    package var systemWirings: UInt32
    /// Whether the entry is wired for the user.
    package var isUserWired: Bool
    /// Whether an operation has the entry in transition.
    package var isInTransition: Bool
  }

  /// Adjacent resident pages of an object that are alike, in adjacent frames.
  package struct Pages: Hashable, Sendable {
    /// The pages.
    package var range: PageRange
    /// The first page's frame; nil where the snapshot has no frames.
    package var frame: Frame?
    /// Whether the pages are valid.
    package var isValid: Bool
    /// Whether the pages are busy.
    package var isBusy: Bool
    /// The number of wirings of each page.
    package var wireCount: UInt16
  }

  /// The entries of each space.
  package var entries: [[Entry]]
  /// The resident pages of each object.
  package var objects: [[Pages]]
  /// The bytes that are charged to the wired limit.
  package var charged: ByteCount
  /// The number of pages that can be allocated.
  package var free: PageCount
}

extension Machine {
  /// The present state.
  ///
  /// - Parameter frames: whether to record the frames of pages, which differ between machines.
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

  /// The resident pages of an object, in the longest runs of pages that are alike.
  package func pages(of object: MemoryObject, frames: Bool = true) -> [Snapshot.Pages] {
    var runs: [Snapshot.Pages] = []
    object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
      if let last = runs.last, last.range.end == range.start, last.isValid == state.isValid,
        last.isBusy == state.isBusy, last.wireCount == state.wireCount,
        last.frame.map({ $0 + last.range.count == state.frame }) ?? true
      {
        runs[runs.count - 1].range = PageRange(from: last.range.start, to: range.end)
      } else {
        runs.append(
          Snapshot.Pages(
            range: range, frame: frames ? state.frame : nil, isValid: state.isValid,
            isBusy: state.isBusy, wireCount: state.wireCount))
      }
    }
    return runs
  }

  /// Calls `body` while only `count` frames are free; the others are allocated meanwhile.
  ///
  /// - Precondition: at least `count` frames are free.
  @discardableResult
  package func withFree<Result>(_ count: UInt64, _ body: () throws -> Result) rethrows -> Result {
    // The allocator would break them and allocate their frames.
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
