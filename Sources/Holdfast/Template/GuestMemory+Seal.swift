public import HoldfastCore
internal import HoldfastLinux
public import HoldfastTemplate

extension GuestMemory {
  /// Makes a template of a range of the guest's memory, of which guests of any process can be made
  /// (`init(cloning:…)`): the byte of address `a` is at offset `a` minus the start of the range.
  /// Memory that is zero, absent or not mapped takes no space, in blocks of 4 KiB, or of a huge page
  /// on hugetlbfs; absent pages stay absent.
  ///
  /// Stop the guest for the time of the call, or `fork` it and seal the fork while the guest runs.
  /// Pages of a restored segment or of another template are read and stay resident; they count as
  /// no touches.
  ///
  /// The template gets its name when it is complete. If the call fails, it leaves nothing behind.
  ///
  /// - Parameters:
  ///   - range: whole pages of the arena and of the store, at least one of them mapped.
  ///   - store: where the template is kept.
  ///   - name: its name, which no other template there has.
  ///   - state: the state of processors and devices, in a format of the monitor's own.
  ///   - monitor: the monitor's name, for people and to tell its templates from others.
  ///   - version: the monitor's version.
  ///   - threads: as for `save(_:to:threads:cancellation:progress:)`.
  ///   - cancellation: ends the call, with the code `cancelled`.
  ///   - progress: called with the bytes of the range that are done.
  /// - Returns: the template, held open, and what was written; `syncDuration` includes the proof
  ///   that no process has the memory open.
  /// - Throws: code `invalidArgument` for a range that is empty, beyond the limit, or not aligned to
  ///   the pages of the arena and the store; `invalidAddress` where nothing is mapped;
  ///   `protectionFailure` where memory is not readable; `alreadyExists` where the name is used;
  ///   `resourceShortage` where the store has no space or no free huge page; `pagerFailure` where a
  ///   page of a restored segment cannot be read; `notPermitted`, `host` and `cancelled`; `busy`
  ///   where another process has opened the memory: the template then gets its name later.
  /// - Complexity: O(resident bytes). Takes the address space's lock shared, 128 KiB at a time.
  public func seal(
    _ range: AddressRange, to store: TemplateStore, as name: TemplateName, state: [UInt8] = [],
    monitor: String? = nil, version: String? = nil, threads: Int? = nil,
    cancellation: CancellationToken = CancellationToken(), progress: SnapshotProgress? = nil
  ) throws(HoldfastError) -> (template: Template, receipt: SnapshotReceipt) {
    let operation = "seal \(range.length) of guest memory as the template '\(name)'"
    let start = Instant.now
    let parts = try partsToSave(range, operation)
    guard range.length.isMultiple(of: store.pageSize) else {
      throw HoldfastError(
        .invalidArgument, operation: operation, range: range,
        reason: "its length is not a multiple of \(store.pageSize), the size of the store's pages")
    }
    guard state.count <= 1 << 30 else {
      throw HoldfastError(
        .invalidArgument, operation: operation, reason: "the device state has more than 1 GiB")
    }
    let draft = try store.begin(name)
    let written: ByteCount
    let whole: Instant
    let template: Template
    do throws(HoldfastError) {
      // The file is closed when the call returns, as the proof requires.
      written = try write(
        range, parts, to: draft, operation, threads: threads, cancellation, progress)
      whole = Instant.now
      if !state.isEmpty { try draft.writeState(state) }
      try draft.writeAbout(
        TemplateAbout(
          size: range.length, pageSize: store.pageSize, monitor: monitor, version: version,
          created: HostClock.now.real, stateBytes: state.count,
          parent: templateClones.first?.template.name.text))
      try draft.commit()
      template = try draft.finish(timeout: .seconds(5))
    } catch {
      _ = draft.end()
      throw error.during(operation, range: range)
    }
    return (
      template,
      SnapshotReceipt(
        path: template.memoryPath, bytes: range.length, writtenBytes: written,
        duration: Instant.now - start, syncDuration: Instant.now - whole)
    )
  }

  private func write(
    _ range: AddressRange, _ parts: [AddressRange], to draft: TemplateDraft, _ operation: String,
    threads: Int?, _ cancellation: CancellationToken, _ progress: SnapshotProgress?
  ) throws(HoldfastError) -> ByteCount {
    let target = try SealTarget(draft, size: range.length, operation: operation)
    let written = try save(range, parts, to: target, threads, cancellation, progress)
    try target.flush()
    return written
  }
}
