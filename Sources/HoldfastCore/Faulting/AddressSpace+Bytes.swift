extension AddressSpace {
  /// The most bytes that are copied while the locks are held once.
  private static let copyChunk: UInt64 = 1 << 17

  /// Copies bytes out of the guest's memory (FreeBSD: `copyin`). Absent pages read as zero and stay
  /// absent, except those that a pager has, which are paged in; no page is entered. Bytes that the
  /// guest writes meanwhile may have either value.
  ///
  /// - Throws: `invalidAddress`, `protectionFailure`, `resourceShortage` and `pagerFailure` as
  ///   `fault`; bytes before the failing address are in `bytes` then. `invalidArgument` where the
  ///   range ends beyond the last address.
  /// - Complexity: O(bytes + runs). Takes the lock shared and the chain's objects', for at most 128
  ///   KiB at a time.
  public func read(_ address: Address, into bytes: inout MutableRawSpan) throws(HoldfastError) {
    let count = bytes.byteCount
    try during("read \(count) bytes at \(address)") { () throws(HoldfastError) in
      try copyOut(address, count, into: &bytes)
    }
  }

  private func copyOut(
    _ address: Address, _ count: Int, into bytes: inout MutableRawSpan
  ) throws(HoldfastError) {
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .read) else { continue }
      let (claim, available) = find(here, entry, limit: UInt64(count - done), writes: false) {
        frame, offset, available in
        memory.store.read(frame, offset: offset, into: &bytes, done..<done + available)
      }
      lock.unlock()
      switch claim {
      case .resident: done += available
      case .absent:
        bytes.zero(done..<done + available)
        done += available
      case .busy(let object, let ticket): object.pagesChanged.wait(since: ticket)
      default: try resolve(here, .read, enters: false)
      }
    }
  }

  /// Copies bytes into the guest's memory (FreeBSD: `copyout`). Faults absent and shared pages in,
  /// but enters none. Where faults make large pages, so does a write that begins with the first base
  /// page of one or covers all of it.
  ///
  /// - Throws: `invalidAddress`, `protectionFailure`, `resourceShortage` and `pagerFailure` as
  ///   `fault`; bytes before the failing address are written then. `invalidArgument` where the
  ///   range ends beyond the last address.
  /// - Complexity: O(bytes + runs). Takes the lock shared and the chain's objects', for at most 128
  ///   KiB at a time.
  public func write(_ bytes: RawSpan, to address: Address) throws(HoldfastError) {
    try write(bytes, to: address, enters: false)
  }

  /// The same.
  ///
  /// - Parameter enters: whether the pages that are faulted in are entered before they are written.
  package func write(
    _ bytes: RawSpan, to address: Address, enters: Bool
  ) throws(HoldfastError) {
    try during("write \(bytes.byteCount) bytes at \(address)") { () throws(HoldfastError) in
      try copyIn(bytes, to: address, enters: enters)
    }
  }

  private func copyIn(
    _ bytes: RawSpan, to address: Address, enters: Bool
  ) throws(HoldfastError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .write) else { continue }
      let (claim, available) = find(here, entry, limit: UInt64(count - done), writes: true) {
        frame, offset, available in
        let part = bytes.extracting(done..<done + available)
        memory.store.write(part, to: frame, offset: offset)
      }
      let granularity = granularityLocked(ofWrite: here, entry)
      lock.unlock()
      switch claim {
      case .resident: done += available
      case .busy(let object, let ticket): object.pagesChanged.wait(since: ticket)
      default: try resolve(here, .write, enters: enters, granularity: granularity)
      }
    }
  }

  /// How much a write to an address makes at once. A few bytes within a large page may be all that
  /// is ever written there. Needs the lock shared.
  private func granularityLocked(ofWrite address: Address, _ entry: MapEntry) -> FaultGranularity {
    // An object that is made later has the positions of the addresses.
    let index =
      entry.object == nil
      ? PageIndex(geometry.pages(in: address - .zero).rawValue)
      : entry.offset + geometry.pages(in: address - entry.range.start)
    return index.isAligned(toOrder: geometry.largePageOrder) ? faultGranularity : .basePage
  }

  private func checkCopy(_ address: Address, _ count: Int) throws(HoldfastError) {
    guard AddressRange(start: address, length: ByteCount(UInt64(count))) != nil else {
      throw HoldfastError(.invalidArgument, "the range ends beyond the last address, 2^64 - 1")
    }
  }

  /// Claims the page at an address and, where it is resident and may be used, copies bytes while
  /// the objects are locked, so that the page neither goes nor moves. Needs the lock shared.
  ///
  /// - Returns: the claim, and how many bytes were copied or, where absent, read as zero. What else
  ///   a page needs is a fault's work, because without the lock an entry's object may go; the claim
  ///   is nil where a write has to copy the page up first.
  private func find(
    _ address: Address, _ entry: MapEntry, limit: UInt64, writes: Bool,
    copy: (Frame, _ offset: ByteCount, _ available: Int) -> Void
  ) -> (PageClaim?, available: Int) {
    let rest = min(limit, (entry.range.end - address).rawValue)
    let limit = min(rest, Self.copyChunk)
    let bounds = entry.pages(of: entry.range, geometry)
    let page = geometry.pages(in: address - entry.range.start)
    let index = bounds.start + page
    guard let object = entry.object else {
      return (.absent(PageRange(start: index, count: .one)), Int(rest))
    }
    if writes, entry.needsCopy { return (nil, 0) }
    let inside = (address - entry.range.start) - geometry.bytes(page)
    do throws(HoldfastError) {
      return try object.withChain(index, in: bounds) { claim in
        switch claim {
        case .resident(let found):
          guard found.holder === object || !writes else { return (nil, 0) }
          let here = (geometry.bytes(found.range.end - index) - inside).rawValue
          let available = Int(min(limit, here))
          copy(found.state.frame, inside, available)
          return (claim, available)
        case .absent(let gap):
          let end = object.absentLocked(at: index, gap, in: bounds).end
          return (claim, Int(min(rest, (geometry.bytes(end - index) - inside).rawValue)))
        default: return (claim, 0)
        }
      }
    } catch {
      preconditionFailure("looking a page up does not throw: \(error)")
    }
  }
}
