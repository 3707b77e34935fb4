public import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// Makes a guest with the same memory, of which both sides have copies from now on: the frames are
  /// shared, the parent's translations lose the permission to write (UFFDIO_WRITEPROTECT), and whoever
  /// writes to a page first gets a copy of it (FreeBSD: `vmspace_fork`).
  ///
  /// The contents are those of one moment only if nobody writes meanwhile: stop the guest's processors
  /// and device models, or accept either value of what they write. What is wired and may be written is
  /// copied at once: unwire it before, where it is to be shared; it stays resident. Nothing of the child
  /// is wired. Its segments are the parent's alone.
  ///
  /// - Throws: code `invalidArgument` where the guest's faults are not answered (`DemandPaging`),
  ///   `resourceShortage` without frames for copies, addresses or mappings; the parent is as it was then.
  /// - Complexity: O(mappings of the kernel's), plus what is wired; for hugetlb the kernel writes to each
  ///   page's entry, for base pages too; a huge page of shared memory loses its entry and is entered
  ///   again, page by page, when it is read. Takes the parent's lock.
  public func fork() throws(HoldfastError) -> (child: GuestMemory, receipt: ForkReceipt) {
    let operation = "fork a guest's memory"
    guard demandPaging != nil else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "fork requires demand paging",
        advice: .enableDemandPaging)
    }
    let clock = ContinuousClock()
    let start = clock.now
    let childWindow: PagedWindow
    childWindow = try PagedWindow(arena: arena, length: limit, host: host)
    let reserved = clock.now
    let childSpace: AddressSpace
    do {
      childSpace = try space.fork(pmap: childWindow)
    } catch {
      throw error.during(operation)
    }
    let forked = clock.now
    let child = try GuestMemory(self, space: childSpace, window: childWindow)
    let (resident, shared) = childSpace.residency(in: childSpace.bounds)
    return (
      child,
      ForkReceipt(
        residentBytes: arena.geometry.bytes(resident), sharedBytes: arena.geometry.bytes(shared),
        duration: forked - reserved, windowDuration: reserved - start)
    )
  }

  /// How much of a range is in memory, and how much of that is shared with forks, parents or other
  /// mappings. Takes the address space's lock shared.
  ///
  /// - Complexity: O(mappings + superpage slots of the range).
  public func residency(
    in range: AddressRange
  ) -> (residentBytes: ByteCount, sharedBytes: ByteCount) {
    let (resident, shared) = space.residency(in: range)
    return (arena.geometry.bytes(resident), arena.geometry.bytes(shared))
  }
}
