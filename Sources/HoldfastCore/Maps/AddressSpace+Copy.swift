extension AddressSpace {
  /// How many bytes are copied under one hold of the lock.
  private static let copyChunk: UInt64 = 1 << 20

  /// Where the bytes from an address on are.
  private enum Place {
    /// In frames, `offset` bytes behind the start of the first, so many bytes of them.
    case resident(Frame, offset: ByteCount, available: UInt64)
    /// Nowhere: so many bytes read as zero.
    case absent(available: UInt64)
    /// In the making.
    case busy(MemoryObject, Event.Ticket)
  }

  /// Copies the guest's bytes out (FreeBSD: `copyin`). Absent pages read as zero and stay absent.
  /// Of bytes that the guest writes meanwhile either value may come.
  ///
  /// - Throws: invalidAddress and protectionFailure as `fault`; what came before is in `bytes`.
  /// - Complexity: O(bytes + runs). Takes the lock shared, a mebibyte at a time.
  public func read(_ address: Address, into bytes: inout MutableRawSpan) throws(VMError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .read) else { continue }
      let place = place(of: here, entry, limit: UInt64(count - done))
      switch place {
      case .resident(let frame, let offset, let available):
        memory.store.read(frame, offset: offset, into: &bytes, done..<done + Int(available))
        done += Int(available)
        lock.unlock()
      case .absent(let available):
        lock.unlock()
        for index in done..<done + Int(available) {
          bytes.storeBytes(of: 0, toByteOffset: index, as: UInt8.self)
        }
        done += Int(available)
      case .busy(let object, let ticket):
        lock.unlock()
        object.pagesChanged.wait(since: ticket)
      }
    }
  }

  /// Copies bytes into the guest's memory, faulting in what is absent (FreeBSD: `copyout`).
  ///
  /// - Throws: invalidAddress, protectionFailure and resourceShortage as `fault`; what came before
  ///   is written.
  /// - Complexity: O(bytes + runs). Takes the lock shared, a mebibyte at a time.
  public func write(_ bytes: RawSpan, to address: Address) throws(VMError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .write) else { continue }
      let place = place(of: here, entry, limit: UInt64(count - done))
      switch place {
      case .resident(let frame, let offset, let available):
        let part = bytes.extracting(done..<done + Int(available))
        memory.store.write(part, to: frame, offset: offset)
        done += Int(available)
        lock.unlock()
      case .absent:
        lock.unlock()
        try fault(here, .write, enters: false)
      case .busy(let object, let ticket):
        lock.unlock()
        object.pagesChanged.wait(since: ticket)
      }
    }
  }

  private func checkCopy(_ address: Address, _ count: Int) throws(VMError) {
    guard AddressRange(start: address, length: ByteCount(UInt64(count))) != nil else {
      throw VMError(.invalidArgument, at: address, "the range passes the last address")
    }
  }

  /// Needs the lock shared; while it is held, what is resident stays so.
  private func place(of address: Address, _ entry: MapEntry, limit: UInt64) -> Place {
    let limit = min(limit, (entry.range.end - address).rawValue, Self.copyChunk)
    guard let object = entry.object else { return .absent(available: limit) }
    let bounds = entry.pages(of: entry.range, geometry)
    let page = geometry.pages(in: address - entry.range.start)
    let index = bounds.start + page
    let inside = (address - entry.range.start) - geometry.bytes(page)
    return object.lock.withLock {
      guard let (range, state) = object.pages.run(at: index, in: bounds) else {
        return .absent(
          available: min(limit, geometry.pageSize.rawValue - inside.rawValue))
      }
      if state.isBusy { return .busy(object, object.pagesChanged.ticket()) }
      let offset = geometry.bytes(index - range.start) + inside
      return .resident(
        state.frame, offset: offset,
        available: min(limit, geometry.bytes(range.count).rawValue - offset.rawValue))
    }
  }
}
