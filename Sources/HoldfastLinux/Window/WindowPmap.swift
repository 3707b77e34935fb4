public import HoldfastCore
internal import SystemPackage

/// A window without demand paging: a reserved range of this process's addresses that a monitor
/// gives to its guest as RAM. Guest address `a` is at `hostRange.address + a`.
///
/// A run takes one mmap(2) of the arena's file and one MADV_POPULATE_WRITE, which for resident
/// memory only fills page tables, with entries of 2 MiB or 1 GiB where it can. A file of base pages
/// is instead registered for minor faults, installed by one UFFDIO_CONTINUE, which is faster, and
/// unregistered.
///
/// For pages that come one by one (`reach`), the region around them is mapped and registered once,
/// each page is installed by UFFDIO_CONTINUE, and the end of the reach unregisters the region.
/// Where userfaultfd may not be used, the region is mapped plainly (its frames are zero and the
/// caller's alone) and pages are populated. A base page gets a mapping of its own only if its frame
/// is not beside those of its neighbors.
///
/// A page that has not been entered is inaccessible: it is reserved without access, or trapped, and
/// then a thread that accesses it waits until it is entered or removed. No range stays trapped
/// after an operation. The kernel may take a page out of the page tables for its own reasons, such
/// as compaction, and then puts it back itself on the next access, since it stays resident in the
/// arena.
///
/// Removing and protecting may need the kernel to split mappings; `MappingRoom` keeps room for
/// that.
///
/// Safe to use from any thread. Takes its own lock, which is below those of the VM layer.
public final class WindowPmap: GuestWindow {
  /// The arena whose frames the window maps.
  public let arena: Arena
  /// The window's addresses in this process, aligned to 1 GiB, so that superpages of guest
  /// addresses are superpages here.
  package let hostRange: HostRange
  /// Why pages are not installed through userfaultfd, or nil if they are.
  public let userFaultProblem: String?
  /// Whether regions are mapped plainly, so that the kernel maps large pages in them by itself.
  package var isAlwaysWhole: Bool { userFaultProblem != nil }

  private let file: MemoryFile
  private let userFault: Userfaultfd?
  private let room: MappingRoom
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var extents = WindowExtents()

  /// Creates an empty window for guest addresses from 0 to `length`.
  ///
  /// - Throws: `HoldfastError` with code `host` if the arena has no file or the addresses cannot be
  ///   reserved.
  public convenience init(arena: Arena, length: ByteCount, host: HostCapabilities)
    throws(HoldfastError)
  {
    try self.init(arena: arena, length: length, host: host, usesUserFault: true)
  }

  /// The same.
  ///
  /// - Parameter usesUserFault: false to do without userfaultfd, as where it may not be used.
  package init(
    arena: Arena, length: ByteCount, host: HostCapabilities, usesUserFault: Bool
  ) throws(HoldfastError) {
    self.arena = arena
    guard let file = arena.file else {
      throw HoldfastError(
        .host, operation: "create a window of an arena",
        reason: "the arena's backing \(arena.backing.rawValue) has no file",
        advice: .useBacking([.hugetlb2M, .thp, .base]))
    }
    self.file = file
    do {
      hostRange = try HostRange.reserve(length, alignment: .gibibytes(1))
    } catch {
      throw HoldfastError(
        .host, operation: "reserve \(length) of addresses for a guest", reason: "mmap(2) failed",
        errno: error.rawValue, advice: .raiseLimit("RLIMIT_AS (ulimit -v unlimited)"))
    }
    do throws(Errno) {
      guard usesUserFault else { throw .notSupported }
      userFault = try Userfaultfd(.installing, arena.geometry)
      userFaultProblem = nil
    } catch {
      userFault = nil
      userFaultProblem =
        "this process may not use userfaultfd(2) (\(error)); base pages are populated instead"
    }
    room = MappingRoom(host)
  }

  deinit {
    hostRange.unmap()
    room.leave(unsafe extents.all.count)
  }

  /// The number of mappings of the arena's file in the window, equal neighbors merged.
  package var extentCount: Int { lock.withLock { unsafe extents.all.count } }

  /// Calls `body` with each run of pages that is entered. Takes the window's lock.
  public func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
  {
    lock.withLock { unsafe extents }.forEachTranslation(arena.geometry, body)
  }

  /// Changes the extents, and the count over all windows with them. Needs the lock.
  private func changeExtents(_ body: (inout WindowExtents) -> Void) {
    let before = unsafe extents.all.count
    unsafe body(&extents)
    room.change(by: unsafe extents.all.count - before)
  }

  // MARK: Pmap

  /// Maps a run of frames at an address, whatever was there. Takes the window's lock.
  ///
  /// - Throws: code `resourceShortage` where the kernel has no memory for page tables or no room
  ///   for another mapping.
  public func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    let (part, delta) = location(of: run, at: address)
    do throws(Errno) {
      let isTrapped = try prepare(part, reach, delta, protection)
      if isTrapped, let userFault {
        try userFault.install(hostRange, part)
      } else {
        try hostRange.populate(part, protection)
      }
    } catch {
      throw HoldfastError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
    if reach == nil { open(part) }
  }

  /// Maps a range, or the reach that it begins, to the right part of the file, if it is not.
  ///
  /// - Returns: whether its pages are trapped until they are installed.
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
    guard room.isAvailable else { throw .noMemory }
    let region = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? part
    let replaced = unsafe extents.parts(of: region)
    do throws(Errno) {
      try hostRange.map(
        region, protection, file: file.descriptor, offset: region.lowerBound &+ delta,
        advice: arena.backing == .base ? .basePages : .noDump)
    } catch {
      // mmap(2) may have unmapped what was there, and the kernel must not map anything else there.
      reserveFixed(region)
      changeExtents { $0.remove(region) }
      wake(replaced)
      throw error
    }
    var isTrapped = false
    // UFFDIO_CONTINUE of a whole range of base pages takes a third of the time of populating it;
    // huge pages are mapped whole by populating.
    if let userFault, reach != nil || arena.backing == .base {
      // If it fails, populating does as well.
      isTrapped = (try? userFault.register(hostRange, region, .minor)) != nil
    }
    changeExtents {
      $0.insert(
        WindowExtents.Extent(
          range: region, delta: delta, isTrapped: isTrapped, protection: protection))
    }
    wake(replaced)
    return isTrapped
  }

  /// Lets the kernel serve faults in a reach, all of whose pages are entered. Takes the lock.
  public func endReach(_ range: AddressRange) {
    open(range.start.rawValue..<range.end.rawValue)
  }

  /// Lets the kernel serve faults in a range, all of whose pages are entered.
  private func open(_ range: Range<UInt64>) {
    guard let userFault else { return }
    lock.withLock {
      for var part in unsafe extents.parts(of: range) where part.isTrapped {
        do throws(Errno) {
          try userFault.unregister(hostRange, part.range)
        } catch {
          preconditionFailure("cannot unregister a region from userfaultfd: \(error)")
        }
        part.isTrapped = false
        changeExtents { $0.insert(part) }
      }
    }
  }

  /// Checks that there is room for the mapping that a split takes. Takes the lock.
  ///
  /// - Throws: code `resourceShortage` if there is none.
  public func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {
    let bounds = range.start.rawValue..<range.end.rawValue
    let isCut = lock.withLock { unsafe extents.isCut(at: bounds) }
    try room.checkSplit(isCut: isCut, at: range.start)
  }

  /// Removes the translations of a range; a later access is an error. Takes the lock.
  public func remove(_ range: AddressRange) {
    lock.withLock { clear(range.start.rawValue..<range.end.rawValue) }
  }

  /// Removes what is mapped in a range. Needs the lock.
  private func clear(_ range: Range<UInt64>) {
    let parts = unsafe extents.parts(of: range)
    for part in parts {
      reserveFixed(part.range)
      changeExtents { $0.remove(part.range) }
    }
    wake(parts)
  }

  /// Makes a range a reservation again; cannot fail.
  private func reserveFixed(_ range: Range<UInt64>) {
    do throws(Errno) {
      try hostRange.reserveFixed(range)
    } catch {
      // To continue would let a guest access frames that are about to be another guest's.
      preconditionFailure("cannot remove a translation: \(error)")
    }
  }

  /// Wakes the threads that wait in extents which no longer exist.
  private func wake(_ parts: [WindowExtents.Extent]) {
    guard let userFault else { return }
    for part in parts where part.isTrapped { userFault.wake(hostRange, part.range) }
  }

  /// Changes the protection of the pages that are entered. Takes the lock.
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

  /// Does nothing: frames never leave the arena, and the lock on the arena's direct map keeps them
  /// resident, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}
}
