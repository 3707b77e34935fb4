public import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// A window whose faults are answered: who touches what is not there, or writes to what may only be
/// read, waits until a `FaultHandler` has seen to it. A guest runs on such memory wired or not.
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
  let file: MemoryFile
  let room: MappingRoom
  let lock = Lock()
  /// Protected by `lock`, and so are the next.
  nonisolated(unsafe) var extents = WindowExtents()
  /// Where who touches gets an error: mappings too, of which a guest must not make as many as it likes.
  private nonisolated(unsafe) var refused = WindowExtents()
  nonisolated(unsafe) var isClosed = false
  private nonisolated(unsafe) weak var reader: FaultHandlerThreads?

  /// An empty window for guest addresses from 0 to `length`. A `FaultHandler` has to be made for it before
  /// anything is entered.
  ///
  /// - Throws: `HoldfastError` where the addresses cannot be reserved or userfaultfd may not be used.
  public init(arena: Arena, length: ByteCount, host: HostCapabilities) throws(HoldfastError) {
    let operation = "make a window whose faults are answered"
    self.arena = arena
    guard let file = arena.file else {
      throw HoldfastError(
        .host, operation: operation, reason: "\(arena.backing.rawValue) has no file to map",
        advice: .useBacking([.hugetlb2M, .thp, .base]))
    }
    self.file = file
    room = MappingRoom(host)
    do throws(Errno) {
      faults = try PagingFault(geometry: arena.geometry)
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: "userfaultfd may not be used", errno: error.rawValue,
        advice: error == .notSupported
          ? .upgradeKernel("6.4") : .other("run as root, or grant access to /dev/userfaultfd"))
    }
    do throws(Errno) {
      hostRange = try HostRange.reserve(length, alignment: .gibibytes(1))
    } catch {
      throw HoldfastError(
        .host, operation: "reserve \(length) of addresses for a guest",
        reason: "the kernel refused",
        errno: error.rawValue,
        advice: .other("a smaller guest, or raise RLIMIT_AS (ulimit -v unlimited)"))
    }
    do throws(Errno) {
      let all = 0..<hostRange.length.rawValue
      // Nobody knows the addresses yet.
      try hostRange.protect(all, .readWrite)
      try faults.register(hostRange, all, .nothingThere)
    } catch {
      hostRange.release()
      throw HoldfastError(
        .host, operation: operation, reason: "userfaultfd refused", errno: error.rawValue)
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
    lock.withLock { unsafe extents }.forEachTranslation(arena.geometry, body)
  }

  /// From now on these threads answer the window's faults.
  func setReader(_ work: FaultHandlerThreads) {
    lock.withLock { unsafe reader = work }
  }

  /// Moves a mapping over a part of the window. The call returns when the kernel's word of it was read.
  func move(_ aside: HostRange, to offset: UInt64) throws(Errno) {
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

  func changeExtents(_ body: (inout WindowExtents) -> Void) {
    let before = unsafe extents.all.count
    unsafe body(&extents)
    room.change(by: unsafe extents.all.count - before)
  }

  func changeRefused(_ body: (inout WindowExtents) -> Void) {
    let before = unsafe refused.all.count
    unsafe body(&refused)
    room.change(by: unsafe refused.all.count - before)
  }
}
