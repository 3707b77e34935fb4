public import HoldfastCore
internal import SystemPackage

/// The translations of one address space as a window: a reserved range of this process's addresses
/// that a monitor gives to its guest as RAM. Guest address `a` is at `hostRange.address + a`.
///
/// A run is one mmap(2) of the arena's file at the run's offset, and one MADV_POPULATE_WRITE, which
/// for memory that is there already only fills page tables, by 2 MiB or 1 GiB where it can; where the
/// file is of base pages it is registered for minor faults and installed by one UFFDIO_CONTINUE, which
/// is faster. Pages that come one by one have the region around them mapped once and registered, and
/// each is installed by UFFDIO_CONTINUE. Where userfaultfd may not be used, the region is mapped
/// plainly (its frames are zero and the caller's alone) and pages are populated. A base page gets a
/// mapping of its own only where its frame does not lie beside its neighbours'.
///
/// What is not entered cannot be reached: it is reserved without access, or trapped.
///
/// Removing and protecting may need the kernel to split mappings. Room for that is set aside: no
/// more extents are entered than half of what `vm.max_map_count` allows this process.
public final class WindowPmap: Pmap {
  public let arena: Arena
  /// Where the window lies in this process. Aligned to 1 GiB, so that superpages of guest addresses
  /// are superpages here.
  package let hostRange: HostRange
  /// Why pages are not installed by userfaultfd, or nil where they are.
  public let userFaultProblem: String?

  private let userFault: UserFault?
  private let extentLimit: Int
  private let lock = Lock()
  /// Protected by `lock`.
  private nonisolated(unsafe) var extents = WindowExtents()

  /// An empty window for guest addresses from 0 to `length`.
  ///
  /// - Throws: `HostError` where the addresses cannot be reserved.
  public init(arena: Arena, length: ByteCount, host: Host) throws(HostError) {
    self.arena = arena
    do {
      hostRange = try HostRange.reserve(length, alignment: .gibibytes(1))
    } catch {
      throw HostError(
        operation: "reserve \(length) of addresses for a guest", what: "the kernel refused",
        errno: error.rawValue,
        advice: "a smaller guest, or raise RLIMIT_AS (ulimit -v unlimited)")
    }
    do {
      userFault = try UserFault(geometry: arena.geometry)
      userFaultProblem = nil
    } catch {
      userFault = nil
      userFaultProblem = "userfaultfd may not be used (\(error)): base pages are populated instead"
    }
    extentLimit = Int(clamping: (host.maximumMapCount ?? 65_530) / 2)
  }

  deinit {
    hostRange.release()
  }

  /// How many mappings of the kernel's the window has, joined where alike.
  public var extentCount: Int { lock.withLock { unsafe extents.all.count } }

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
      let isTrapped = try prepare(part, reach, delta, protection)
      if isTrapped, let userFault {
        try userFault.resume(hostRange, part)
      } else {
        try hostRange.populate(part, protection)
      }
    } catch {
      throw VMError(
        .resourceShortage, at: address, "the kernel refused a translation (\(error))",
        errno: error.rawValue)
    }
  }

  /// Sees to it that a range is mapped to the right part of the file.
  ///
  /// - Returns: whether pages of it are trapped until they are continued.
  private func prepare(
    _ part: Range<UInt64>, _ reach: AddressRange?, _ delta: UInt64, _ protection: Protection
  ) throws(Errno) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if let extent = unsafe extents.covering(part), extent.delta == delta {
      return extent.isTrapped
    }
    guard unsafe extents.all.count < extentLimit else { throw .noMemory }
    let region = reach.map { $0.start.rawValue..<$0.end.rawValue } ?? part
    // Where the file is of base pages, continuing a whole range costs a third of populating it; where
    // it is of huge pages, populating maps them whole.
    let isTrapped = userFault != nil && (reach != nil || arena.backing == .base)
    try hostRange.map(
      region, protection, file: arena.file.descriptor, offset: region.lowerBound &+ delta)
    unsafe extents.insert(
      WindowExtents.Extent(range: region, delta: delta, isTrapped: isTrapped))
    if isTrapped, let userFault { try userFault.registerMinor(hostRange, region) }
    return isTrapped
  }

  public func remove(_ range: AddressRange) {
    lock.withLock {
      for part in parts(of: range) {
        do {
          try hostRange.unmap(part)
        } catch {
          // Going on would let a guest reach frames that are about to be another's.
          preconditionFailure("cannot take a translation away: \(error)")
        }
        unsafe extents.remove(part)
      }
    }
  }

  public func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      for part in parts(of: range) {
        do {
          try hostRange.protect(part, protection)
        } catch {
          preconditionFailure("cannot change a translation's protection: \(error)")
        }
      }
    }
  }

  /// Does nothing: frames never leave the arena, and what keeps them resident is the lock on the
  /// arena's direct map, so a translation is the same wired or not.
  public func unwire(_ range: AddressRange) {}

  private func parts(of range: AddressRange) -> [Range<UInt64>] {
    unsafe extents.parts(of: range.start.rawValue..<range.end.rawValue)
  }
}
