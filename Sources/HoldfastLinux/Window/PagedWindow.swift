public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// A window with demand paging: a thread that accesses an absent page, or writes to a read-only
/// one, waits until a `FaultHandler` has served the page fault. A guest runs on it wired or not.
///
/// At every moment each byte of the window is in one of these states:
/// - *nothing*: anonymous memory, registered with userfaultfd for absent pages;
/// - *vacant*: the arena's file, registered for all faults, no page of it in the page tables;
/// - *trapped*: the same with its page entered, perhaps write-protected by userfaultfd;
/// - *open*: the arena's file, readable and writable, every page entered, not registered. The
///   kernel itself puts back pages that it took out of the page tables for its own reasons;
/// - *refused*: reserved without access (`refuse`).
///
/// *Nothing* and *vacant* parts of a window for processors may fail instead of waiting, where no page
/// was ever entered (see `handOver`).
///
/// So a guest never accesses a page that has not been entered, and never gets a signal where it
/// should wait. That holds because
/// - pages that are entered for reading and writing may come by a plain mmap(2): a thread that is
///   faster than the calls after it accesses only what it may;
/// - all else is mapped, registered and filled aside, and moved into place at once by mremap(2),
///   which keeps the registration (UFFD_FEATURE_EVENT_REMAP). That call returns only when a thread
///   has read the event from the userfaultfd, so `withReader` of the handler's threads keeps one
///   reading meanwhile;
/// - what is removed is registered first, then loses its page-table entries and keeps its mapping;
/// - what becomes read-only is registered first, then protected page by page; it stays mapped;
/// - what is not all the guest's own is mapped without access, unlocked and registered before it
///   becomes accessible, because under mlockall(2) the kernel populates what is accessible;
/// - no mapping is inherited by a child of fork(2), where userfaultfd traps nothing.
///
/// `mappings` are the kernel's mappings and `extents` the pages that are entered. Removing a page
/// needs no further mapping: where the kernel or `MappingRoom` allows none to be split, all of it is
/// registered, and handler threads serve the faults in the rest. Where even that fails, `lose` ends
/// this guest's access for good.
///
/// Protecting 4 KiB entries would split the kernel's huge pages of transparent backings. There the
/// pages become vacant instead, and are entered again when they are read.
///
/// Safe to use from any thread. Takes its own lock, which is below those of the VM layer.
public final class PagedWindow: GuestWindow {
  /// The arena whose frames the window maps.
  public let arena: Arena
  /// The window's addresses in this process, aligned to 1 GiB.
  package let hostRange: HostRange
  /// Nil: the window cannot be made without userfaultfd.
  package var userFaultProblem: String? { nil }
  /// False: pages of any size can be entered.
  package var isAlwaysWhole: Bool { false }

  /// Traps for handler threads.
  let faults: Userfaultfd
  /// Traps for the processors themselves: an access fails. Nil if handler threads serve all faults.
  let failing: Userfaultfd?
  let file: MemoryFile
  let room: MappingRoom
  let lock = Lock()
  // Protected by `lock`.
  nonisolated(unsafe) var extents = WindowExtents()
  nonisolated(unsafe) var mappings: WindowMappings
  nonisolated(unsafe) var isClosed = false
  /// Whether processors may serve first accesses.
  nonisolated(unsafe) var servesProcessors: Bool
  /// Why the guest's access has ended, if the kernel failed to remove a page.
  nonisolated(unsafe) var loss: HoldfastError?
  private nonisolated(unsafe) weak var reader: FaultHandlerThreads?

  /// Creates an empty window for guest addresses from 0 to `length`. It needs a `FaultHandler`
  /// before anything is entered.
  ///
  /// - Parameter forProcessors: whether the processors serve the first access to each page, as
  ///   `handOver` describes. Where the backing or the kernel does not allow it, handler threads
  ///   serve all faults.
  /// - Throws: `HoldfastError` with code `unsupported` if userfaultfd may not be used or lacks
  ///   features, and `host` if the arena has no file or the addresses cannot be reserved.
  public init(
    arena: Arena, length: ByteCount, host: HostCapabilities, forProcessors: Bool = false
  ) throws(HoldfastError) {
    let operation = "create a window with demand paging"
    self.arena = arena
    guard let file = arena.file else {
      throw HoldfastError(
        .host, operation: operation,
        reason: "the arena's backing \(arena.backing.rawValue) has no file",
        advice: .useBacking([.hugetlb2M, .thp, .base]))
    }
    self.file = file
    room = MappingRoom(host)
    let alternative = "wire the guests' memory"
    if let error = host.userFault.error(of: .paging, operation, otherwise: alternative) {
      throw error
    }
    do throws(Errno) {
      faults = try Userfaultfd(.paging, arena.geometry)
    } catch {
      // The host has changed since it was probed, or the process has too many descriptors.
      throw HoldfastError(
        .host, operation: operation, reason: "userfaultfd(2) failed", errno: error.rawValue,
        advice: .other("permit userfaultfd(2), or \(alternative)"))
    }
    let mayFail =
      forProcessors && !arena.backing.isTransparentHuge && host.userFault.allows(.failing)
    failing = mayFail ? try? Userfaultfd(.failing, arena.geometry) : nil
    unsafe servesProcessors = failing != nil
    let range = try GuestReservation.range(length)
    let all = 0..<range.length.rawValue
    do throws(Errno) {
      // No other thread knows the addresses yet.
      try range.keepPrivate(all)
      try (failing ?? faults).register(range, all, .missing)
      try range.protect(all, .readWrite)
    } catch {
      range.unmap()
      throw HoldfastError(
        .host, operation: operation, reason: "userfaultfd cannot trap the window's addresses",
        errno: error.rawValue)
    }
    hostRange = range
    unsafe mappings = WindowMappings(
      WindowMappings.Mapping(
        all, isTrapped: true, isFailing: failing != nil, access: .readWrite),
      isHugetlb: arena.backing.hugePageSize != nil)
    room.change(by: 1)
  }

  deinit {
    // Before the userfaultfd is closed: without it the kernel would populate absent pages.
    hostRange.unmap()
    room.change(by: unsafe -mappings.count)
  }

  /// The number of ranges of pages that are entered, equal neighbors joined.
  package var extentCount: Int { lock.withLock { unsafe extents.count } }

  /// The number of the kernel's mappings in the window.
  package var mappingCount: Int { lock.withLock { unsafe mappings.count } }

  /// Calls `body` with each run of pages that is entered. Takes the window's lock.
  public func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
  {
    lock.withLock { unsafe extents }.forEachTranslation(arena.geometry, body)
  }

  /// Sets the threads that read the window's faults.
  func setReader(_ work: FaultHandlerThreads) {
    lock.withLock { unsafe reader = work }
  }

  /// Moves a mapping over a part of the window. Returns when a thread has read the kernel's event.
  func move(_ aside: HostRange, to offset: UInt64) throws(Errno) {
    guard let reader = unsafe reader else { return try aside.move(to: hostRange, at: offset) }
    try reader.withReader { () throws(Errno) in try aside.move(to: hostRange, at: offset) }
  }

  /// Ends the guest's access for good, before the threads that serve its faults stop. A thread that
  /// accesses the window from now on, or waits in it, gets SIGSEGV, a virtual processor EFAULT.
  func close() {
    lock.withLock {
      unsafe isClosed = true
      endAccess()
    }
  }

  /// Ends the guest's access for good because the kernel failed to remove a page: to continue would
  /// let the guest access frames that are about to be another guest's. Later calls of `enter`
  /// throw, so that the fault handler reports each fault that it is serving. Needs the lock.
  func lose(_ error: Errno) {
    if unsafe isClosed || loss != nil { return }
    unsafe loss = GuestReservation.loss(error)
    endAccess()
  }

  private func endAccess() {
    let isOne = hostRange.endAccess(to: arena)
    unsafe extents = WindowExtents()
    changeMappings { $0.endAccess(isOne) }
    faults.wake(hostRange, 0..<hostRange.length.rawValue)
  }

  /// The guest address of an address of this process, rounded down to the base page. Nil for a
  /// mapping that is being prepared aside, which only a debugger can have accessed: the faulting
  /// thread is woken, and repeats its access.
  func guestAddress(of address: UInt64) -> Address? {
    guard address >= hostRange.address, address - hostRange.address < hostRange.length.rawValue
    else {
      faults.wake(address & ~(arena.geometry.pageSize.rawValue - 1))
      return nil
    }
    return Address(address - hostRange.address).roundedDown(to: arena.geometry.pageSize)
  }

  /// Wakes the threads that wait in a range, which repeat their access.
  func wake(_ range: AddressRange) {
    faults.wake(hostRange, range.start.rawValue..<range.end.rawValue)
  }

  /// Makes every access to a page an error: a thread that accesses it gets SIGSEGV, a virtual
  /// processor EFAULT, until something is entered there. Wakes no thread.
  ///
  /// - Returns: false if there is no room for another mapping.
  func refuse(_ page: AddressRange) -> Bool {
    let refused = WindowMappings.Mapping(
      page.start.rawValue..<page.end.rawValue, access: [])
    return lock.withLock {
      if unsafe isClosed || loss != nil { return true }
      guard allows(refused), (try? hostRange.reserveFixed(refused.range)) != nil else {
        return false
      }
      unsafe extents.remove(refused.range)
      changeMappings { $0.set(refused) }
      return true
    }
  }

  /// Whether there is room for a mapping in place of what is in its range. Needs the lock.
  func allows(_ mapping: WindowMappings.Mapping) -> Bool {
    unsafe room.allows(mappings.added(by: mapping), own: mappings.count)
  }

  /// Changes the mappings, and the count over all windows with them. Needs the lock.
  func changeMappings(_ body: (inout WindowMappings) -> Void) {
    let before = unsafe mappings.count
    unsafe body(&mappings)
    room.change(by: unsafe mappings.count - before)
  }
}
