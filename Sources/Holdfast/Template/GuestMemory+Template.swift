public import HoldfastCore
internal import HoldfastLinux
public import HoldfastTemplate

extension GuestMemory {
  /// Creates a guest whose memory from address 0 on is that of a template, which another process
  /// may have sealed. A page is copied to the arena when it is first accessed, 2 MiB or a base page
  /// at a time as `demandPaging` says; the template never changes.
  ///
  /// The guest keeps the template open, so that it is not removed. The first clone records in which
  /// order the pages are touched; the next ones read them ahead, in that order. See
  /// ``WorkingSetOptions`` and ``cloneReceipts``.
  ///
  /// The memory is a segment named `ram`. For a guest with other addresses, such as one with a hole
  /// below 4 GiB, use `cloneSegment`.
  ///
  /// - Parameters:
  ///   - template: the template.
  ///   - arena: where the copies come from. It may be smaller than the template; an access for
  ///     which it has no memory left goes to `demandPaging.onFailure`.
  ///   - limit: the end of the guest's addresses; nil for the template's size, rounded up to the
  ///     arena's page size.
  ///   - wiredLimit: how much may be wired, summed over all guests that share the limit.
  ///   - policy: the NUMA nodes that the copies come from.
  ///   - demandPaging: how page faults are served.
  ///   - workingSet: what is recorded and read ahead.
  ///   - host: what the host offers.
  /// - Throws: as `init(arena:limit:for:wiredLimit:hostNUMANode:demandPaging:host:)`,
  ///   `cloneSegment` and `map`; code `invalidArgument` where the limit is less than the template.
  /// - Complexity: O(parts of the memory file between holes, and pages of the working set).
  public convenience init(
    cloning template: Template, arena: Arena, limit: ByteCount? = nil,
    wiredLimit: WiredLimit = .none, hostNUMANode policy: DomainPolicy = .firstTouch,
    demandPaging: DemandPaging = DemandPaging(),
    workingSet: WorkingSetOptions = WorkingSetOptions(),
    host: HostCapabilities = HostProbe().host()
  ) throws(HoldfastError) {
    let size = template.size.roundedUp(to: arena.geometry.pageSize) ?? template.size
    if let limit, limit < size {
      throw HoldfastError(
        .invalidArgument, operation: "clone the template '\(template.name)'",
        reason: "the limit \(limit) is less than the template's memory of \(template.size)")
    }
    try self.init(
      arena: arena, limit: limit ?? size, wiredLimit: wiredLimit, hostNUMANode: policy,
      demandPaging: demandPaging, host: host)
    try map(try cloneSegment("ram", of: template, workingSet: workingSet), at: .zero)
  }

  /// Creates a segment with the memory of a template, to be mapped whole or in parts. The byte at
  /// offset 0 is that of the address at which the saved range began.
  ///
  /// The pages of the template's working set are read from the segment's first mapping on,
  /// unless that is wired.
  ///
  /// - Parameters:
  ///   - name: the segment's name, not empty.
  ///   - template: the template, which stays open as long as the segment or a mapping of it exists.
  ///   - workingSet: what is recorded and read ahead.
  /// - Returns: the segment, with the template's size, rounded up to the arena's page size.
  /// - Throws: code `invalidArgument` where the name is empty or used by a segment of another size;
  ///   `alreadyExists` where a segment has the name and the size; `untrusted` where the memory file
  ///   does not have the template's size; `host` where it cannot be read.
  /// - Complexity: O(parts of the memory file between holes, and pages of the working set).
  public func cloneSegment(
    _ name: String, of template: Template, workingSet: WorkingSetOptions = WorkingSetOptions()
  ) throws(HoldfastError) -> MemorySegment {
    let geometry = arena.geometry
    let file = try FilePager(
      template.memory, path: template.memoryPath, geometry: geometry, data: template.dataRanges())
    guard file.length == template.size, let size = file.length.roundedUp(to: geometry.pageSize)
    else {
      throw HoldfastError(
        .untrusted, operation: "clone the template '\(template.name)'",
        reason: "\(template.memoryPath) has \(file.length), and the template's memory has "
          + "\(template.size)",
        advice: .other("another template; this one is damaged"))
    }
    let clone = TemplateClone(
      template, geometry, pages: geometry.pages(in: size), space.faultGranularity, workingSet)
    return try allocateSegment(name, size: size, pager: ClonePager(clone, file))
  }

  /// What the guest touched of each template that it has memory of, and what was read ahead,
  /// in the order in which the segments were made; empty for a guest that is not a clone.
  ///
  /// - Complexity: O(segments of templates). Takes the locks of each in turn.
  public var cloneReceipts: [CloneReceipt] {
    templateClones.map { $0.receipt(arena.geometry) }
  }

  /// Keeps the touches that the guest has recorded with its templates, and ends the recording. The
  /// end of the guest does the same, but reports no failure.
  ///
  /// - Returns: what was kept, an element for each template; empty where the guest does not record,
  ///   or another clone has kept a working set since and ``WorkingSetOptions/Recording/always`` was
  ///   not asked for.
  /// - Throws: code `notPermitted`, `resourceShortage` or `host` where a file cannot be written.
  /// - Complexity: O(touches).
  @discardableResult
  public func keepWorkingSets() throws(HoldfastError) -> [WorkingSet] {
    var kept: [WorkingSet] = []
    for clone in templateClones {
      if let set = try clone.keepWorkingSet() { kept.append(set) }
    }
    return kept
  }

  /// Waits until the working sets have been read, as far as they will be.
  public func waitForPrefetching() {
    for clone in templateClones { clone.waitForPrefetch() }
  }

  /// Ends the prefetching, and waits for its threads, each of which ends after the page that it
  /// reads. What has been read stays.
  public func stopPrefetching() {
    for clone in templateClones { clone.stopPrefetch() }
  }
}
