public import HoldfastCore
internal import HoldfastLinux

extension GuestMemory {
  /// Creates a guest with a copy of this guest's memory. Both share the frames; the parent's
  /// translations lose the write permission (UFFDIO_WRITEPROTECT), and the side that writes to a
  /// page first gets a copy of it (FreeBSD: `vmspace_fork`).
  ///
  /// Stop the guest's processors and device models for the time of the call, or accept either value
  /// of the bytes that they write meanwhile. Memory that is wired is copied by the
  /// call; unwire it first where it should be shared, and it stays resident. Nothing in the child
  /// is wired, and the child has mappings but no named segments.
  ///
  /// A device that writes without the guest's translations must have the pages held (`hold`), else
  /// its writes may be in the child too, or in the child alone.
  ///
  /// - Returns: the child, and what it shares.
  /// - Throws: code `invalidArgument` without demand paging; `resourceShortage` without frames for
  ///   the copies or without mappings, with 1,024 generations of forks that live, or where the
  ///   kernel has refused to end the access of one of the arena's guests; `host` where addresses, userfaultfd or a handler thread
  ///   cannot be obtained. The parent is as it was then.
  /// - Complexity: O(the kernel's mappings of the window), plus the wired bytes. The kernel writes
  ///   the entry of each hugetlb and base page. A transparent huge page loses its entry, and its
  ///   pages are entered one by one when they are accessed again. Takes the parent's lock
  ///   exclusively.
  public func fork() throws(HoldfastError) -> (child: GuestMemory, receipt: ForkReceipt) {
    let operation = "fork guest memory"
    guard demandPaging != nil else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "fork requires demand paging",
        advice: .enableDemandPaging)
    }
    // Pages that are shared are absent or protected, and have contents.
    leaveToHandlerThreads()
    let start = Instant.now
    let childWindow = try PagedWindow(arena: arena, length: limit, host: host)
    let reserved = Instant.now
    let childSpace: AddressSpace
    do {
      childSpace = try space.fork(pmap: childWindow)
    } catch {
      throw error.during(operation)
    }
    let forked = Instant.now
    let child = try GuestMemory(self, space: childSpace, window: childWindow)
    let (resident, shared) = childSpace.residency(in: childSpace.bounds)
    return (
      child,
      ForkReceipt(
        residentBytes: arena.geometry.bytes(resident), sharedBytes: arena.geometry.bytes(shared),
        duration: forked - reserved, windowDuration: reserved - start)
    )
  }

  /// Returns how much of a range is resident, and how much of that is shared with forks, parents or
  /// other mappings.
  ///
  /// - Complexity: O(mappings + superpage slots of the range). Takes the address space's lock
  ///   shared.
  public func residency(
    in range: AddressRange
  ) -> (residentBytes: ByteCount, sharedBytes: ByteCount) {
    let (resident, shared) = space.residency(in: range)
    return (arena.geometry.bytes(resident), arena.geometry.bytes(shared))
  }
}
