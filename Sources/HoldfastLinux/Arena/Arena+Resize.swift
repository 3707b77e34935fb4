public import HoldfastCore
internal import SystemPackage

/// An arena that grows and shrinks while guests run: only frames that are free come and go.
extension Arena {
  /// Brings more memory in from the host, up to the arena's maximum: zeroed, resident, free. First comes
  /// what was given back before.
  ///
  /// - Parameters:
  ///   - bytes: rounded up to the backing's page.
  ///   - progress: called with the bytes brought in so far, from any thread.
  /// - Throws: `HoldfastError` over the maximum, and where the host has not enough; nothing has changed then.
  public func grow(
    by bytes: ByteCount, progress: (@Sendable (ByteCount) -> Void)? = nil
  ) throws(HoldfastError) {
    if bytes == .zero { return }
    try resizing.withLock { () throws(HoldfastError) in
      let host = HostProbe().host()
      let operation = "grow an arena by \(bytes)"
      let room = unsafe offline.reduce(PageCount.zero) { $0 + $1.count }
      guard bytes <= geometry.bytes(room) else {
        throw HoldfastError(
          .host, operation: operation,
          reason: "it has \(size) and was made for at most \(maximumSize)",
          advice: .other("make it with a larger maximum, or grow it by \(geometry.bytes(room))"))
      }
      let choice = try BackingChoice(size: bytes, wanted: backing, nodes: nil, host: host)
      let runs = firstOffline(geometry.pages(in: choice.size))
      try check(runs, host)
      for (number, run) in runs.enumerated() {
        do throws(HoldfastError) {
          try bringIn(run, choice, operation, host, progress)
        } catch {
          for run in runs.prefix(number + 1) { giveBack(run) }
          throw error
        }
      }
      for run in runs {
        takeOut(run)
        allocator.bringOnline(run, zeroed: true)
      }
    }
  }

  /// The first runs of what is offline, each of one domain. Needs `resizing`.
  private func firstOffline(_ count: PageCount) -> [FrameRun] {
    var wanted = count
    var runs: [FrameRun] = []
    for run in unsafe offline {
      var start = run.start
      while wanted > .zero && run.end > start {
        let end = min(run.end, allocator.domain(of: start).frames.end)
        let part = FrameRun(start, min(end - start, wanted))
        runs.append(part)
        wanted -= part.count
        start = part.end
      }
    }
    return runs
  }

  /// Checks that the nodes which parts are bound to have the memory: the kernel would kill for it.
  private func check(_ runs: [FrameRun], _ host: HostCapabilities) throws(HoldfastError) {
    for (domain, part) in zip(allocator.domains, parts) where part.isStrict {
      let pages = runs.reduce(PageCount.zero) {
        $0 + (domain.frames.contains($1.start) ? $1.count : .zero)
      }
      guard pages > .zero, let node = part.node else { continue }
      // Where there is but one node, it is the host that was checked.
      guard part.policy != nil else { continue }
      _ = try BackingChoice(
        size: geometry.bytes(pages), wanted: backing, nodes: .bind(node), host: host)
    }
  }

  /// Gives free memory back to the host, as much as there is of `bytes`: hugetlb pages are the pool's
  /// again. Guests keep what they have. Reservations are broken where that is needed.
  ///
  /// - Parameter bytes: rounded down to 2 MiB, or to the backing's page where that is larger.
  /// - Returns: how much it was. What lies in smaller fragments can be put together before
  ///   (`PhysicalMemory.compact`), but need not.
  /// - Throws: `HoldfastError` where the kernel refuses; what was given back before stays so.
  @discardableResult
  public func shrink(by bytes: ByteCount) throws(HoldfastError) -> ByteCount {
    try resizing.withLock { () throws(HoldfastError) in
      let wanted = geometry.pages(in: bytes)
      if wanted > allocator.occupancy.free { memory.reservations.breakAll() }
      let runs = allocator.takeOffline(wanted)
      var given = PageCount.zero
      for (number, run) in runs.enumerated() {
        do throws(Errno) {
          try directMap.range.unmap(self.bytes(of: run))
        } catch {
          // It is mapped as it was: the kernel has no room for one mapping more.
          for run in runs[number...] { allocator.bringOnline(run, zeroed: false) }
          throw HoldfastError(
            .host, operation: "shrink an arena by \(bytes)",
            reason: "the kernel refused to unmap a part",
            errno: error.rawValue, advice: .other("raise vm.max_map_count"))
        }
        putIn(run)
        given += run.count
        do throws(Errno) {
          try file?.punch(self.bytes(of: run))
        } catch {
          // The memory goes with the arena; what comes there again is zeroed first.
          for run in runs[(number + 1)...] { allocator.bringOnline(run, zeroed: false) }
          throw HoldfastError(
            .host, operation: "shrink an arena by \(bytes)", reason: "fallocate(2) failed",
            errno: error.rawValue,
            advice: .other("the memory is the host's again when the arena goes"))
        }
      }
      return geometry.bytes(given)
    }
  }

  private func bytes(of run: FrameRun) -> Range<UInt64> {
    let start = geometry.bytes(run.start - Frame(0)).rawValue
    return start..<start + geometry.bytes(run.count).rawValue
  }

  /// Maps frames that are offline, binds them to their domain's node, brings them in and locks them.
  private func bringIn(
    _ run: FrameRun, _ choice: BackingChoice, _ operation: String, _ host: HostCapabilities,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(HoldfastError) {
    let bytes = bytes(of: run)
    let domain = allocator.domain(of: run.start)
    guard let index = allocator.domains.firstIndex(where: { $0 === domain }) else {
      preconditionFailure("a domain is foreign")
    }
    let like = parts[index]
    let part = ArenaPart(
      bytes: bytes, node: like.node, policy: like.policy, processors: like.processors)
    do throws(Errno) {
      _ = try Arena.bringIn(bytes, directMap.range, file, backing, threads: threads, progress) {
        // Where it is refused the threads' place still decides, as when the arena was made.
        if let node = part.node, let policy = part.policy {
          _ = try? directMap.range.bind(bytes, to: [node], policy)
        }
        return [part]
      }
    } catch {
      throw choice.shortage(operation, error, host)
    }
    guard backing.hugePageSize == nil, preparation.lockProblem == nil else { return }
    do throws(Errno) {
      try directMap.range.lock(bytes)
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: Arena.lockProblem(error, host), errno: error.rawValue,
        advice: .other("ulimit -l unlimited, or grant CAP_IPC_LOCK"))
    }
  }

  /// Undoes what `bringIn` may have done.
  private func giveBack(_ run: FrameRun) {
    unmap(run)
    // What cannot be given back now goes with the arena; it is not in use either way.
    _ = try? file?.punch(bytes(of: run))
  }

  private func unmap(_ run: FrameRun) {
    do throws(Errno) {
      try directMap.range.unmap(bytes(of: run))
    } catch {
      preconditionFailure("the direct map cannot be changed: \(error)")
    }
  }

  // MARK: The list of what is offline

  private func takeOut(_ run: FrameRun) {
    guard let index = unsafe offline.firstIndex(where: { $0.contains(run.start) }) else {
      preconditionFailure("a frame is online already")
    }
    let whole = unsafe offline.remove(at: index)
    if run.end < whole.end {
      unsafe offline.insert(FrameRun(run.end, whole.end - run.end), at: index)
    }
    if whole.start < run.start {
      unsafe offline.insert(FrameRun(whole.start, run.start - whole.start), at: index)
    }
  }

  private func putIn(_ run: FrameRun) {
    var joined = run
    unsafe offline.removeAll { other in
      guard other.end == joined.start || joined.end == other.start else { return false }
      joined = FrameRun(min(joined.start, other.start), joined.count + other.count)
      return true
    }
    let index = unsafe offline.firstIndex { $0.start > joined.start } ?? offline.count
    unsafe offline.insert(joined, at: index)
  }
}
