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
/// The region is mapped without access, unlocked and registered before it becomes accessible,
/// because under mlockall(2) the kernel populates what is accessible. Where userfaultfd may not be
/// used, the region is mapped plainly (its frames are zero and the caller's alone) and pages are
/// populated. A base page gets a mapping of its own only if its frame
/// is not beside those of its neighbors.
///
/// A page that has not been entered is inaccessible: it is reserved without access, or trapped, and
/// then a thread that accesses it waits until it is entered or removed. No range stays trapped
/// after an operation. The kernel may take a page out of the page tables for its own reasons, such
/// as compaction, and then puts it back itself on the next access, since it stays resident in the
/// arena.
///
/// Removing and protecting may need the kernel to split mappings; `MappingRoom` keeps room for
/// that. Where the kernel splits none all the same, because the rest of the process has used up
/// what is set aside, guard pages (MADV_GUARD_INSTALL) make a hole in a mapping, and where it has
/// none, as for hugetlb, `lose` ends this guest's access for good.
///
/// `mappings` are the kernel's mappings, and `extents` what of them is the guest's. So a part that
/// is mapped and in no extent has guard pages.
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

  /// Whether and how page tables are shared; other than `asked` in tests.
  let tableSharing: TableSharing

  let file: MemoryFile
  let userFault: Userfaultfd?
  let room: MappingRoom
  let lock = Lock()
  // Protected by `lock`.
  nonisolated(unsafe) var extents = WindowExtents()
  nonisolated(unsafe) var mappings: WindowMappings
  /// The GiBs of 2 MiB pages that were entered whole and not changed since: those whose page tables
  /// may be shared.
  nonisolated(unsafe) var wholeTables = TableSet()
  /// Why the guest's access has ended, if the kernel failed to remove a page.
  nonisolated(unsafe) var loss: HoldfastError?

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
  /// - Parameters:
  ///   - usesUserFault: false to do without userfaultfd, as where it may not be used.
  ///   - tableSharing: how page tables are shared.
  package init(
    arena: Arena, length: ByteCount, host: HostCapabilities, usesUserFault: Bool,
    tableSharing: TableSharing = .asked
  ) throws(HoldfastError) {
    self.arena = arena
    self.tableSharing = tableSharing
    guard let file = arena.file else {
      throw HoldfastError(
        .host, operation: "create a window of an arena",
        reason: "the arena's backing \(arena.backing.rawValue) has no file",
        advice: .useBacking([.hugetlb2M, .thp, .base]))
    }
    self.file = file
    room = MappingRoom(host)
    hostRange = try GuestReservation.range(length)
    unsafe mappings = WindowMappings(
      WindowMappings.Mapping(0..<hostRange.length.rawValue, access: []),
      isHugetlb: arena.backing.hugePageSize != nil)
    room.change(by: 1)
    let use: UserFaultUse =
      arena.backing.hugePageSize == nil ? .installingShared : .installingHugePages
    do throws(Errno) {
      guard usesUserFault else { throw .notSupported }
      userFault = try Userfaultfd(use, arena.geometry)
      userFaultProblem = nil
    } catch {
      userFault = nil
      userFaultProblem =
        (host.userFault.problem(of: use) ?? "this process may not use userfaultfd(2) (\(error))")
        + "; base pages are populated instead"
    }
  }

  deinit {
    hostRange.unmap()
    room.change(by: unsafe -mappings.count)
  }

  /// The number of ranges of the arena's file in the window, equal neighbors joined.
  package var extentCount: Int { lock.withLock { unsafe extents.count } }

  /// The number of the kernel's mappings in the window.
  package var mappingCount: Int { lock.withLock { unsafe mappings.count } }

  /// Calls `body` with each run of pages that is entered. Takes the window's lock.
  public func forEachTranslation(_ body: (Address, FrameRun, Protection, _ isWired: Bool?) -> Void)
  {
    lock.withLock { unsafe extents }.forEachTranslation(arena.geometry, body)
  }

  /// Changes the mappings, and the count over all windows with them. Needs the lock.
  func changeMappings(_ body: (inout WindowMappings) -> Void) {
    let before = unsafe mappings.count
    unsafe body(&mappings)
    room.change(by: unsafe mappings.count - before)
  }

  /// Whether there is room for a mapping in place of what is in its range. Needs the lock.
  func allows(_ mapping: WindowMappings.Mapping) -> Bool {
    unsafe room.allows(mappings.added(by: mapping), own: mappings.count)
  }

  /// Does nothing: frames never leave the arena, and the lock on the arena's direct map keeps them
  /// resident, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}
}
