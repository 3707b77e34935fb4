public import HoldfastCore
internal import SystemPackage

/// The translations of one address space as a window: a reserved range of this process's addresses
/// that a monitor gives to its guest as RAM. Guest address `a` is at `hostRange.address + a`.
///
/// A run is one mmap(2) of the arena's file at the run's offset, and one MADV_POPULATE_WRITE, which
/// for memory that is there already only fills page tables, by 2 MiB or 1 GiB where it can; where the
/// file is of base pages it is registered for minor faults, installed by one UFFDIO_CONTINUE, which is
/// faster, and unregistered. Pages that come one by one (`reach`) have the region around them mapped
/// once and registered, each is installed by UFFDIO_CONTINUE, and at the end of the reach the region
/// is unregistered. Where userfaultfd may not be used, the region is mapped plainly (its frames are
/// zero and the caller's alone) and pages are populated. A base page gets a mapping of its own only
/// where its frame does not lie beside its neighbours'.
///
/// What is not entered cannot be reached: it is reserved without access, or trapped, and then who
/// touches it waits until it is entered or goes. Nothing stays trapped once an operation is over: the
/// kernel may take a page out of the page tables for its own reasons (compaction, say), and puts it
/// back by itself at the next touch, from the arena, which stays in memory.
///
/// Removing and protecting may need the kernel to split mappings: `MappingRoom` is for that.
public final class WindowPmap: GuestWindow {
  public let arena: Arena
  /// Where the window lies in this process. Aligned to 1 GiB, so that superpages of guest addresses
  /// are superpages here.
  package let hostRange: HostRange
  /// Why pages are not installed by userfaultfd, or nil where they are.
  public let userFaultProblem: String?
  package var isAlwaysWhole: Bool { userFaultProblem != nil }

  private let file: MemoryFile
  private let userFault: UserFault?
  private let room: MappingRoom
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var extents = WindowExtents()

  /// An empty window for guest addresses from 0 to `length`.
  ///
  /// - Parameter usesUserFault: false to do without userfaultfd, as where it may not be used.
  /// - Throws: `HoldfastError` where the addresses cannot be reserved.
  public convenience init(arena: Arena, length: ByteCount, host: HostCapabilities)
    throws(HoldfastError)
  {
    try self.init(arena: arena, length: length, host: host, usesUserFault: true)
  }

  package init(
    arena: Arena, length: ByteCount, host: HostCapabilities, usesUserFault: Bool
  ) throws(HoldfastError) {
    self.arena = arena
    guard let file = arena.file else {
      throw HoldfastError(
        .host, operation: "make a window of an arena",
        reason: "\(arena.backing.rawValue) has no file to map",
        advice: .other("another backing: hugetlb-2M, thp or base"))
    }
    self.file = file
    do {
      hostRange = try HostRange.reserve(length, alignment: .gibibytes(1))
    } catch {
      throw HoldfastError(
        .host, operation: "reserve \(length) of addresses for a guest",
        reason: "the kernel refused",
        errno: error.rawValue,
        advice: .other("a smaller guest, or raise RLIMIT_AS (ulimit -v unlimited)"))
    }
    do throws(Errno) {
      guard usesUserFault else { throw .notSupported }
      userFault = try UserFault(geometry: arena.geometry)
      userFaultProblem = nil
    } catch {
      userFault = nil
      userFaultProblem = "userfaultfd may not be used (\(error)): base pages are populated instead"
    }
    room = MappingRoom(host)
  }

  deinit {
    hostRange.release()
    room.leave(unsafe extents.all.count)
  }

  /// How many mappings of the kernel's the window has, joined where alike.
  public var extentCount: Int { lock.withLock { unsafe extents.all.count } }

  public func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
  {
    lock.withLock { unsafe extents }.forEachTranslation(arena.geometry, body)
  }

  /// Changes the extents, and the count over all windows with them.
  private func changeExtents(_ body: (inout WindowExtents) -> Void) {
    let before = unsafe extents.all.count
    unsafe body(&extents)
    room.change(by: unsafe extents.all.count - before)
  }

  // MARK: Pmap

  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    let (part, delta) = place(of: run, at: address)
    do throws(Errno) {
      let isTrapped = try prepare(part, reach, delta, protection)
      if isTrapped, let userFault {
        try userFault.resume(hostRange, part)
      } else {
        try hostRange.populate(part, protection)
      }
    } catch {
      throw HoldfastError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
    if reach == nil { release(part) }
  }

  /// Sees to it that a range is mapped to the right part of the file.
  ///
  /// - Returns: whether pages of it are trapped until they are continued.
  private func prepare(
    _ part: Range<UInt64>, _ reach: AddressRange?, _ delta: UInt64, _ protection: Protection
  ) throws(Errno) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if let extent = unsafe extents.covering(part), extent.delta == delta,
      extent.protection == protection
    {
      return extent.isTrapped
    }
    guard room.isThere else { throw .noMemory }
    let region = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? part
    let replaced = unsafe extents.parts(of: region)
    do throws(Errno) {
      try hostRange.map(
        region, protection, file: file.descriptor, offset: region.lowerBound &+ delta,
        advice: arena.backing == .base ? .basePages : .noDump)
    } catch {
      // What was there may be gone already, and nothing else of this process may come to lie there.
      reserveAgain(region)
      changeExtents { $0.remove(region) }
      wake(replaced)
      throw error
    }
    var isTrapped = false
    // Where the file is of base pages, continuing a whole range costs a third of populating it; where
    // it is of huge pages, populating maps them whole.
    if let userFault, reach != nil || arena.backing == .base {
      // Where it cannot be had populating does as well.
      isTrapped = (try? userFault.registerMinor(hostRange, region)) != nil
    }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(
          range: region, delta: delta, isTrapped: isTrapped, protection: protection))
    }
    wake(replaced)
    return isTrapped
  }

  public func endReach(_ range: AddressRange) {
    release(range.start.rawValue..<range.end.rawValue)
  }

  /// Lets the kernel serve faults in a range again: all of its pages are entered.
  private func release(_ range: Range<UInt64>) {
    guard let userFault else { return }
    lock.withLock {
      for var part in unsafe extents.parts(of: range) where part.isTrapped {
        do throws(Errno) {
          try userFault.unregister(hostRange, part.range)
        } catch {
          preconditionFailure("a region stays trapped: \(error)")
        }
        part.isTrapped = false
        changeExtents { $0.insert(part) }
      }
    }
  }

  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {
    let bounds = range.start.rawValue..<range.end.rawValue
    let isCut = lock.withLock { unsafe extents.isCut(at: bounds) }
    try room.checkSplit(isCut: isCut, at: range.start)
  }

  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// Takes what is mapped in a range away. Needs the lock.
  private func clear(_ range: Range<UInt64>) {
    let parts = unsafe extents.parts(of: range)
    for part in parts {
      reserveAgain(part.range)
      changeExtents { $0.remove(part.range) }
    }
    wake(parts)
  }

  private func reserveAgain(_ range: Range<UInt64>) {
    do throws(Errno) {
      try hostRange.unmap(range)
    } catch {
      // Going on would let a guest reach frames that are about to be another's.
      preconditionFailure("cannot take a translation away: \(error)")
    }
  }

  /// Who waits at a trap that is gone has to touch again.
  private func wake(_ parts: [WindowExtents.Extent]) {
    guard let userFault else { return }
    for part in parts where part.isTrapped { userFault.wake(hostRange, part.range) }
  }

  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for var part in unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue) {
        do throws(Errno) {
          try hostRange.protect(part.range, protection)
        } catch {
          preconditionFailure("cannot change a translation's protection: \(error)")
        }
        part.protection = protection
        changeExtents { $0.insert(part) }
      }
    }
  }

  /// Does nothing: frames never leave the arena, and what keeps them resident is the lock on the
  /// arena's direct map, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}
}
