public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// A window whose faults are answered: who touches what is not there, or writes to what may only be
/// read, waits until a `FaultThread` has seen to it. A guest runs on such memory wired or not.
///
/// Every byte of the window is at all times one of these:
/// - *nothing*: anonymous memory, registered with userfaultfd for absent pages;
/// - *vacant*: the arena's file, registered for all that can happen, no page of it in the page tables;
/// - *trapped*: the same, its pages entered, perhaps protected from writing by userfaultfd;
/// - *open*: the arena's file, for reading and writing, every page entered and nothing registered. The
///   kernel itself puts pages back that it took out of the page tables for its own reasons.
///
/// So a guest can never reach a page that was not entered, nor meet a signal where it should wait. What
/// makes that so:
/// - what is entered for reading and writing may come by a plain mmap(2): whoever is faster than what
///   follows it reaches just what it will be allowed to;
/// - all else is mapped, registered and filled aside and moved into place at once by mremap(2), which
///   the registration survives (UFFD_FEATURE_EVENT_REMAP: the call waits until the kernel's word of it
///   was read, so there has to be a thread that does nothing but read while others work);
/// - what is taken away loses its page-table entries and keeps its mapping, registered before;
/// - what loses the permission to write is registered and then protected page by page; it stays mapped.
///
/// Where the file may have pages of 2 MiB made of base pages, protecting them one by one would split
/// them all: there they become vacant, and come back when they are read.
public final class PagedWindow: GuestWindow {
  public let arena: Arena
  /// Where the window lies in this process. Aligned to 1 GiB.
  package let hostRange: HostRange
  package var userFaultProblem: String? { nil }
  package var isAlwaysWhole: Bool { false }

  let faults: PagingFault
  private let file: MemoryFile
  private let room: MappingRoom
  private let lock = Lock()
  /// Protected by `lock`, and so are the next.
  private nonisolated(unsafe) var extents = WindowExtents()
  /// Where who touches gets an error: mappings too, of which a guest must not make as many as it likes.
  private nonisolated(unsafe) var refused = WindowExtents()
  private nonisolated(unsafe) var isClosed = false
  private nonisolated(unsafe) weak var reader: FaultWork?

  /// An empty window for guest addresses from 0 to `length`. A `FaultThread` has to be made for it before
  /// anything is entered.
  ///
  /// - Throws: `HostError` where the addresses cannot be reserved or userfaultfd may not be used.
  public init(arena: Arena, length: ByteCount, host: Host) throws(HostError) {
    let operation = "make a window whose faults are answered"
    self.arena = arena
    guard let file = arena.file else {
      throw HostError(
        operation: operation, what: "\(arena.backing.rawValue) has no file to map",
        advice: "another backing: hugetlb-2M, thp or base")
    }
    self.file = file
    room = MappingRoom(host)
    do throws(Errno) {
      faults = try PagingFault(geometry: arena.geometry)
    } catch {
      throw HostError(
        operation: operation, what: "userfaultfd may not be used", errno: error.rawValue,
        advice: error == .notSupported
          ? "Linux 6.4 or later" : "run as root, or grant access to /dev/userfaultfd")
    }
    do throws(Errno) {
      hostRange = try HostRange.reserve(length, alignment: .gibibytes(1))
    } catch {
      throw HostError(
        operation: "reserve \(length) of addresses for a guest", what: "the kernel refused",
        errno: error.rawValue,
        advice: "a smaller guest, or raise RLIMIT_AS (ulimit -v unlimited)")
    }
    do throws(Errno) {
      let all = 0..<hostRange.length.rawValue
      // Nobody knows the addresses yet.
      try hostRange.protect(all, .readWrite)
      try faults.register(hostRange, all, .nothingThere)
    } catch {
      hostRange.release()
      throw HostError(operation: operation, what: "userfaultfd refused", errno: error.rawValue)
    }
  }

  deinit {
    // Before the userfaultfd goes: without it absent pages would be filled by the kernel.
    hostRange.release()
    room.leave(unsafe extents.all.count + refused.all.count)
  }

  /// How many mappings of the arena's file the window has, joined where alike.
  public var extentCount: Int { lock.withLock { unsafe extents.all.count } }

  public func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
  {
    let geometry = arena.geometry
    for extent in lock.withLock({ unsafe extents.all }) where !extent.isVacant {
      let first = ByteCount(extent.range.lowerBound &+ extent.delta)
      let frames = FrameRun(
        Frame(0) + geometry.pages(in: first),
        geometry.pages(in: ByteCount(UInt64(extent.range.count))))
      body(Address(extent.range.lowerBound), frames, extent.protection, nil)
    }
  }

  /// From now on these threads answer the window's faults.
  func setReader(_ work: FaultWork) {
    lock.withLock { unsafe reader = work }
  }

  /// Moves a mapping over a part of the window. The call returns when the kernel's word of it was read.
  private func move(_ aside: HostRange, to offset: UInt64) throws(Errno) {
    guard let reader = unsafe reader else { return try aside.move(to: hostRange, at: offset) }
    try reader.withReader { () throws(Errno) in try aside.move(to: hostRange, at: offset) }
  }

  /// Ends the guest's access for good, before the threads that answer its faults stop: who touches the
  /// window from now on, or waits in it, gets a SIGSEGV, a virtual processor EFAULT.
  func close() {
    lock.withLock {
      unsafe isClosed = true
      do throws(Errno) {
        try hostRange.unmap(0..<hostRange.length.rawValue)
      } catch {
        preconditionFailure("cannot take a guest's translations away: \(error)")
      }
      changeExtents { $0 = WindowExtents() }
      changeRefused { $0 = WindowExtents() }
    }
    faults.wake(hostRange, 0..<hostRange.length.rawValue)
  }

  /// The guest's address of one of this process's, at the start of its base page. Nil for what is being
  /// prepared aside, where only a debugger can have touched: it is woken, and touches again.
  func guestAddress(of address: UInt64) -> Address? {
    guard address >= hostRange.address, address - hostRange.address < hostRange.length.rawValue
    else {
      faults.wake(address & ~(arena.geometry.pageSize.rawValue - 1))
      return nil
    }
    return Address(address - hostRange.address).roundedDown(to: arena.geometry.pageSize)
  }

  /// Lets those who wait in a range touch again.
  func wake(_ range: AddressRange) {
    faults.wake(hostRange, range.start.rawValue..<range.end.rawValue)
  }

  /// Makes a page one that cannot be had: who touches it gets SIGSEGV, a virtual processor EFAULT, until
  /// something is entered there. Wakes nobody.
  ///
  /// - Returns: false where there is no room for another mapping.
  func refuse(_ page: AddressRange) -> Bool {
    let part = page.start.rawValue..<page.end.rawValue
    return lock.withLock {
      if unsafe isClosed { return true }
      guard room.isThere, (try? hostRange.unmap(part)) != nil else { return false }
      changeExtents { $0.remove(part) }
      changeRefused {
        $0.insert(WindowExtents.Extent(range: part, delta: 0, isTrapped: false))
      }
      return true
    }
  }

  private func changeExtents(_ body: (inout WindowExtents) -> Void) {
    let before = unsafe extents.all.count
    unsafe body(&extents)
    room.change(by: unsafe extents.all.count - before)
  }

  private func changeRefused(_ body: (inout WindowExtents) -> Void) {
    let before = unsafe refused.all.count
    unsafe body(&refused)
    room.change(by: unsafe refused.all.count - before)
  }

  // MARK: Pmap

  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(VMError) {
    let geometry = arena.geometry
    let part = address.rawValue..<address.rawValue + geometry.bytes(run.count).rawValue
    precondition(part.upperBound <= hostRange.length.rawValue, "a page outside of the window")
    let delta = geometry.bytes(run.start - Frame(0)).rawValue &- address.rawValue
    do throws(Errno) {
      try enter(part, delta, protection, wired: wired, reach: reach)
    } catch {
      throw VMError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
  }

  private func enter(
    _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    lock.lock()
    defer { lock.unlock() }
    // The guest is on its way out, and nobody may reach anything any more.
    if unsafe isClosed { return }
    let there = unsafe extents.parts(of: part)
    let isMapped = unsafe there.allSatisfy { $0.delta == delta } && extents.covers(part)
    if isMapped, !isReadOnly, there.allSatisfy({ !$0.isTrapped }) {
      return try hostRange.populate(part, .readWrite)
    }
    if isMapped {
      try enterMapped(part, there, delta, protection)
    } else {
      guard room.isThere else { throw .noMemory }
      let region = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? region(around: part, delta)
      if isReadOnly || region != part {
        try moveIn(region, part, delta, protection)
      } else {
        try mapOver(part, delta)
      }
    }
    // Who has it wired is never to wait for a thread of ours. Of a reach the rest is to come.
    if wired, !isReadOnly, reach == nil { open(part) }
  }

  /// Enters pages whose mapping is there.
  private func enterMapped(
    _ part: Range<UInt64>, _ there: [WindowExtents.Extent], _ delta: UInt64,
    _ protection: Protection
  ) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    for extent in there where !extent.isTrapped {
      try faults.register(hostRange, extent.range, .everything)
    }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(range: part, delta: delta, isTrapped: true, protection: protection))
    }
    try faults.resume(hostRange, part, readOnly: isReadOnly)
    // What was there keeps the protection it had.
    for extent in there
    where !extent.isVacant && extent.protection.contains(.write) == isReadOnly {
      try faults.protect(hostRange, extent.range, readOnly: isReadOnly)
    }
  }

  /// What the kernel is told of the window's mappings. Shared huge pages are not in core dumps anyway, and a
  /// fault has no time for a call that changes nothing.
  private var advice: HostRange.Advice {
    arena.backing == .base ? .basePages : arena.backing.hugePageSize == nil ? .noDump : .none
  }

  /// Maps pages that may be read and written over what is there.
  private func mapOver(_ part: Range<UInt64>, _ delta: UInt64) throws(Errno) {
    do throws(Errno) {
      try hostRange.map(
        part, .readWrite, file: file.descriptor, offset: part.lowerBound &+ delta,
        advice: advice)
    } catch {
      // What was there may be gone already.
      try clearAtOnce(part)
      throw error
    }
    changeRefused { $0.remove(part) }
    changeExtents {
      $0.insert(WindowExtents.Extent(range: part, delta: delta, isTrapped: false))
    }
    guard arena.backing == .base, (try? faults.register(hostRange, part, .everything)) != nil else {
      return try hostRange.populate(part, .readWrite)
    }
    // Continuing a whole range of base pages costs a third of populating it.
    do throws(Errno) {
      try faults.resume(hostRange, part, readOnly: false)
      try faults.unregister(hostRange, part)
    } catch {
      changeExtents {
        $0.insert(WindowExtents.Extent(range: part, delta: delta, isTrapped: true))
      }
      throw error
    }
  }

  /// Maps a region aside with the pages of `part` entered, and moves it over what is there.
  private func moveIn(
    _ region: Range<UInt64>, _ part: Range<UInt64>, _ delta: UInt64, _ protection: Protection
  ) throws(Errno) {
    let aside = try HostRange.shared(
      UInt64(region.count), file: file.descriptor, offset: region.lowerBound &+ delta,
      advice: advice)
    do throws(Errno) {
      try faults.register(aside, 0..<UInt64(region.count), .everything)
      let inside = part.lowerBound - region.lowerBound..<part.upperBound - region.lowerBound
      try faults.resume(aside, inside, readOnly: !protection.contains(.write))
    } catch {
      aside.release()
      throw error
    }
    do throws(Errno) {
      try move(aside, to: region.lowerBound)
    } catch {
      aside.release()
      // It may have failed after what was there had gone.
      try clearAtOnce(region)
      throw error
    }
    changeRefused { $0.remove(region) }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(range: region, delta: delta, isTrapped: true, isVacant: true))
      $0.insert(
        WindowExtents.Extent(range: part, delta: delta, isTrapped: true, protection: protection))
    }
  }

  /// How much to map for base pages: the large page around them, if nothing else is entered in it, so that
  /// those to come from the same block need no mapping of their own.
  private func region(around part: Range<UInt64>, _ delta: UInt64) -> Range<UInt64> {
    let large = UInt64(2) << 20
    let start = part.lowerBound & ~(large - 1)
    guard arena.geometry.pageSize.rawValue < large, part.count < large,
      part.upperBound <= start + large, start + large <= hostRange.length.rawValue
    else { return part }
    let region = start..<start + large
    // The file's part has to be an aligned block too, and all of it the arena's.
    let place = start &+ delta
    guard place.isMultiple(of: large), place + large <= arena.size.rawValue,
      unsafe extents.parts(of: region).allSatisfy({ $0.isVacant })
    else { return part }
    return region
  }

  public func endReach(_ range: AddressRange) {
    lock.withLock { open(range.start.rawValue..<range.end.rawValue) }
  }

  /// Lets the kernel serve faults where all pages are entered for writing.
  private func open(_ range: Range<UInt64>) {
    for var part in unsafe extents.parts(of: range)
    where part.isTrapped && !part.isVacant && part.protection.contains(.write) {
      // Where the kernel has no room to split a mapping it stays trapped: then faults are answered.
      guard (try? faults.unregister(hostRange, part.range)) != nil else { continue }
      part.isTrapped = false
      changeExtents { $0.insert(part) }
    }
  }

  public func refresh(_ range: AddressRange) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where part.isTrapped && !part.protection.isEmpty {
        let isReadOnly = !part.protection.contains(.write)
        // Where it fails the toucher comes again.
        guard (try? faults.resume(hostRange, part.range, readOnly: isReadOnly)) != nil,
          part.isVacant
        else { continue }
        // It was left vacant when its protection changed.
        part.isVacant = false
        changeExtents { $0.insert(part) }
      }
    }
  }

  public func prepareToSplit(_ range: AddressRange) throws(VMError) {
    let bounds = range.start.rawValue..<range.end.rawValue
    let isCut = lock.withLock { unsafe extents.isCut(at: bounds) }
    guard isCut, !room.isThere else { return }
    throw VMError(
      .resourceShortage, at: range.start,
      "this process has too many mappings; raise vm.max_map_count", errno: Errno.noMemory.rawValue)
  }

  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// More mappings than this are replaced by one instead of being emptied one by one.
  private static let fewMappings = 4

  /// Takes what is entered in a range away. Needs the lock.
  private func clear(_ range: Range<UInt64>) {
    if unsafe isClosed { return }
    let parts = unsafe extents.parts(of: range)
    do throws(Errno) {
      if parts.count > Self.fewMappings, (try? clearAtOnce(range)) != nil { return }
      for part in parts where !part.isVacant { try vacate(part) }
    } catch {
      // Going on would let a guest reach frames that are about to be another's.
      preconditionFailure("cannot take a translation away: \(error)")
    }
  }

  /// Puts nothing in the place of all that is there.
  private func clearAtOnce(_ range: Range<UInt64>) throws(Errno) {
    var isTrapped = true
    if (try? moveNothing(to: range)) == nil {
      // The kernel has no room for a second mapping (RLIMIT_AS, no overcommit). By steps, then: who
      // touches between them, or after one that fails, gets an error, but nobody's memory.
      try hostRange.unmap(range)
      isTrapped =
        (try? faults.register(hostRange, range, .nothingThere)) != nil
        && (try? hostRange.protect(range, .readWrite)) != nil
    }
    changeExtents { $0.remove(range) }
    changeRefused {
      $0.remove(range)
      if !isTrapped {
        $0.insert(WindowExtents.Extent(range: range, delta: 0, isTrapped: false))
      }
    }
  }

  private func moveNothing(to range: Range<UInt64>) throws(Errno) {
    let aside = try HostRange.anonymous(UInt64(range.count))
    do throws(Errno) {
      try faults.register(aside, 0..<UInt64(range.count), .nothingThere)
      try move(aside, to: range.lowerBound)
    } catch {
      aside.release()
      throw error
    }
  }

  /// Takes the pages of a part away and keeps its mapping.
  ///
  /// - Parameter protection: what `refresh` is to enter them with, if it is called.
  private func vacate(
    _ part: WindowExtents.Extent, _ protection: Protection = .readWrite
  ) throws(Errno) {
    if !part.isTrapped { try faults.register(hostRange, part.range, .everything) }
    try hostRange.dropTranslations(part.range)
    changeExtents {
      $0.insert(
        WindowExtents.Extent(
          range: part.range, delta: part.delta, isTrapped: true, protection: protection,
          isVacant: true))
    }
  }

  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
      where part.protection != protection {
        do throws(Errno) {
          if part.isVacant {
            part.protection = protection
            changeExtents { $0.insert(part) }
          } else if (try? protect(part, protection)) == nil {
            // Without memory for page tables: what is gone comes again when it is touched.
            try vacate(part, protection)
          }
        } catch {
          preconditionFailure("cannot change a translation's protection: \(error)")
        }
      }
    }
  }

  /// Changes the protection of pages that are entered. Needs the lock.
  private func protect(_ old: WindowExtents.Extent, _ protection: Protection) throws(Errno) {
    let isReadOnly = !protection.contains(.write)
    if protection.isEmpty || (isReadOnly && arena.backing.isTransparentHuge) {
      return try vacate(old, protection)
    }
    var part = old
    if !part.isTrapped, isReadOnly {
      try faults.register(hostRange, part.range, .everything)
      part.isTrapped = true
    }
    if part.isTrapped, old.protection.contains(.write) == isReadOnly {
      try faults.protect(hostRange, part.range, readOnly: isReadOnly)
    }
    part.protection = protection
    changeExtents { $0.insert(part) }
  }

  /// Does nothing: frames never leave the arena, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}
}
