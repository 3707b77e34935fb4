extension AddressSpace {
  /// How many bytes are copied under one hold of the lock.
  private static let copyChunk: UInt64 = 1 << 20
  /// How many while the objects of a chain are locked too.
  private static let chainChunk: UInt64 = 1 << 16

  /// Where the bytes from an address on are.
  private enum Place {
    /// In frames, `offset` bytes behind the start of the first, so many bytes of them.
    case resident(Frame, offset: ByteCount, available: UInt64)
    /// So many bytes were read already, from an object below.
    case done(UInt64)
    /// Nowhere: so many bytes read as zero.
    case absent(available: UInt64)
    /// A fault has to bring the page in or copy it.
    case faults
    /// In the making.
    case busy(MemoryObject, Event.Ticket)
  }

  /// Copies the guest's bytes out (FreeBSD: `copyin`). Absent pages read as zero and stay absent;
  /// those of a pager are brought in.
  /// Of bytes that the guest writes meanwhile either value may come.
  ///
  /// - Throws: invalidAddress, protectionFailure, resourceShortage and pagerFailure as `fault`; what
  ///   came before is in `bytes`.
  /// - Complexity: O(bytes + runs). Takes the lock shared, a mebibyte at a time.
  public func read(_ address: Address, into bytes: inout MutableRawSpan) throws(VMError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .read) else { continue }
      let place = find(here, entry, limit: UInt64(count - done)) { frame, offset, available in
        memory.store.read(frame, offset: offset, into: &bytes, done..<done + Int(available))
        return true
      }
      switch place {
      case .done(let available):
        lock.unlock()
        done += Int(available)
      case .faults:
        lock.unlock()
        try fault(here, .read)
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
  /// - Throws: invalidAddress, protectionFailure, resourceShortage and pagerFailure as `fault`; what
  ///   came before is written.
  /// - Complexity: O(bytes + runs). Takes the lock shared, a mebibyte at a time.
  public func write(_ bytes: RawSpan, to address: Address) throws(VMError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .write) else { continue }
      var place = Place.faults
      if !entry.needsCopy {
        place = find(here, entry, limit: UInt64(count - done)) { _, _, _ in false }
      }
      switch place {
      case .resident(let frame, let offset, let available):
        let part = bytes.extracting(done..<done + Int(available))
        memory.store.write(part, to: frame, offset: offset)
        done += Int(available)
        lock.unlock()
      case .absent, .faults, .done:
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

  /// Needs the lock shared. While it is held, pages of the entry's own object stay where they are;
  /// those below may be copied and freed by others, so they are read at once.
  ///
  /// - Parameter readBelow: reads so many bytes of a page below, with the chain locked, or returns
  ///   false to leave it to a fault.
  private func find(
    _ address: Address, _ entry: MapEntry, limit: UInt64,
    readBelow: (Frame, ByteCount, _ available: UInt64) -> Bool
  ) -> Place {
    let limit = min(limit, (entry.range.end - address).rawValue, Self.copyChunk)
    guard let object = entry.object else { return .absent(available: limit) }
    let bounds = entry.pages(of: entry.range, geometry)
    let page = geometry.pages(in: address - entry.range.start)
    let index = bounds.start + page
    let inside = (address - entry.range.start) - geometry.bytes(page)
    do throws(VMError) {
      return try object.withChain(index, in: bounds) { hit in
        switch hit {
        case .absent:
          return .absent(available: min(limit, geometry.pageSize.rawValue - inside.rawValue))
        case .paged: return .faults
        case .resident(let holder, _, let state, let range):
          if state.isBusy { return .busy(holder, holder.pagesChanged.ticket()) }
          let rest = geometry.bytes(range.end - index) - inside
          let available = min(limit, rest.rawValue)
          if holder === object {
            return .resident(state.frame, offset: inside, available: available)
          }
          let part = min(available, Self.chainChunk)
          return readBelow(state.frame, inside, part) ? .done(part) : .faults
        }
      }
    } catch {
      preconditionFailure("looking a page up does not throw: \(error)")
    }
  }
}
