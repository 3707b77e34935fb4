extension AddressSpace {
  /// How many bytes are copied under one hold of the locks.
  private static let copyChunk: UInt64 = 1 << 17

  /// Where the bytes from an address on are.
  private enum Place {
    /// In frames: so many bytes were copied.
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
  /// - Complexity: O(bytes + runs). Takes the lock shared and those of the objects, 128 KiB at a time.
  public func read(_ address: Address, into bytes: inout MutableRawSpan) throws(HoldfastError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .read) else { continue }
      let place = find(here, entry, limit: UInt64(count - done), writes: false) {
        frame, offset, available in
        memory.store.read(frame, offset: offset, into: &bytes, done..<done + Int(available))
      }
      switch place {
      case .done(let available):
        lock.unlock()
        done += Int(available)
      case .faults:
        lock.unlock()
        try fault(here, .read)
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
  /// - Complexity: O(bytes + runs). Takes the lock shared and those of the objects, 128 KiB at a time.
  public func write(_ bytes: RawSpan, to address: Address) throws(HoldfastError) {
    let count = bytes.byteCount
    try checkCopy(address, count)
    var done = 0
    while done < count {
      let here = address + ByteCount(UInt64(done))
      lock.lockShared()
      guard let entry = try settledEntryLocked(at: here, .write) else { continue }
      var place = Place.faults
      if !entry.needsCopy {
        place = find(here, entry, limit: UInt64(count - done), writes: true) {
          frame, offset, available in
          let part = bytes.extracting(done..<done + Int(available))
          memory.store.write(part, to: frame, offset: offset)
        }
      }
      switch place {
      case .done(let available):
        lock.unlock()
        done += Int(available)
      case .absent, .faults:
        lock.unlock()
        try fault(here, .write, enters: false)
      case .busy(let object, let ticket):
        lock.unlock()
        object.pagesChanged.wait(since: ticket)
      }
    }
  }

  private func checkCopy(_ address: Address, _ count: Int) throws(HoldfastError) {
    guard AddressRange(start: address, length: ByteCount(UInt64(count))) != nil else {
      throw HoldfastError(.invalidArgument, at: address, "the range passes the last address")
    }
  }

  /// Finds the bytes and copies them while the objects are locked, so that no page of them goes or moves.
  /// Needs the lock shared.
  private func find(
    _ address: Address, _ entry: MapEntry, limit: UInt64, writes: Bool,
    copy: (Frame, _ offset: ByteCount, _ available: UInt64) -> Void
  ) -> Place {
    let limit = min(limit, (entry.range.end - address).rawValue, Self.copyChunk)
    guard let object = entry.object else { return .absent(available: limit) }
    let bounds = entry.pages(of: entry.range, geometry)
    let page = geometry.pages(in: address - entry.range.start)
    let index = bounds.start + page
    let inside = (address - entry.range.start) - geometry.bytes(page)
    do throws(HoldfastError) {
      return try object.withChain(index, in: bounds) { hit in
        switch hit {
        case .absent:
          return .absent(available: min(limit, geometry.pageSize.rawValue - inside.rawValue))
        case .paged: return .faults
        case .resident(let holder, _, let state, let range):
          if state.isBusy { return .busy(holder, holder.pagesChanged.ticket()) }
          guard holder === object || !writes else { return .faults }
          let available = min(limit, (geometry.bytes(range.end - index) - inside).rawValue)
          copy(state.frame, inside, available)
          return .done(available)
        }
      }
    } catch {
      preconditionFailure("looking a page up does not throw: \(error)")
    }
  }
}
