public import HoldfastCore
internal import SystemPackage

/// Growing and shrinking an arena by free frames, while guests run.
extension Arena {
  /// Takes more memory from the host, up to the arena's maximum: zeroed, resident and free. Frames
  /// that were returned before come first.
  ///
  /// Takes `resizing` for its whole duration, and the allocator's locks.
  ///
  /// - Parameters:
  ///   - bytes: rounded up to the backing's page.
  ///   - progress: called with the bytes populated so far, from any thread.
  /// - Throws: `HoldfastError` with code `host` if the maximum is exceeded or the host has not
  ///   enough memory; nothing has changed then.
  /// - Complexity: O(bytes): the kernel zeroes all of them.
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
          reason: "it would exceed its maximum of \(maximumSize); it has \(size)",
          advice: .other("at most \(geometry.bytes(room)), or an arena with a larger maximum"))
      }
      let choice = try BackingChoice(size: bytes, wanted: backing, nodes: nil, host: host)
      let runs = firstOffline(geometry.pages(in: choice.size))
      try check(runs, host)
      for (number, run) in runs.enumerated() {
        do throws(HoldfastError) {
          try populate(run, choice, operation, host, progress)
        } catch {
          for run in runs.prefix(number + 1) { giveBack(run) }
          throw error
        }
      }
      if unsafe mayKeepBytes { directMap.zero(runs) }
      for run in runs {
        removeOffline(run)
        allocator.bringOnline(run, zeroed: true)
      }
    }
  }

  /// The first runs of frames without memory, each of one domain. Needs `resizing`.
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

  /// Checks that the nodes to which parts are bound have the memory; the kernel would kill
  /// processes for it.
  private func check(_ runs: [FrameRun], _ host: HostCapabilities) throws(HoldfastError) {
    for (domain, part) in zip(allocator.domains, parts) where part.isStrict {
      let pages = runs.reduce(PageCount.zero) {
        $0 + (domain.frames.contains($1.start) ? $1.count : .zero)
      }
      guard pages > .zero, let node = part.node else { continue }
      // With a single node, the check of the host was enough.
      guard part.policy != nil else { continue }
      _ = try BackingChoice(
        size: geometry.bytes(pages), wanted: backing, nodes: .bind(node), host: host)
    }
  }

  /// Returns free memory to the host, up to `bytes` of it; hugetlb pages go back to their pool.
  /// Guests keep their memory. Reservations are broken if that is needed.
  ///
  /// Takes `resizing` for its whole duration, and the allocator's locks.
  ///
  /// - Parameter bytes: rounded down to 2 MiB, or to the backing's page if that is larger.
  /// - Returns: the bytes that were returned. Smaller fragments stay, unless
  ///   `PhysicalMemory.compact` has merged them before.
  /// - Throws: `HoldfastError` with code `host` if the kernel refuses; what was returned before
  ///   stays so.
  /// - Complexity: O(bytes), to free the pages.
  @discardableResult
  public func shrink(by bytes: ByteCount) throws(HoldfastError) -> ByteCount {
    try resizing.withLock { () throws(HoldfastError) in
      let wanted = geometry.pages(in: bytes)
      if wanted > allocator.occupancy.free { memory.reservations.breakAll() }
      let runs = allocator.takeOffline(wanted)
      var given = PageCount.zero
      for (number, run) in runs.enumerated() {
        do throws(Errno) {
          try directMap.range.reserveFixed(self.bytes(of: run))
        } catch {
          // The mapping is unchanged: the kernel allows no further one.
          for run in runs[number...] { allocator.bringOnline(run, zeroed: false) }
          throw HoldfastError(
            .host, operation: "shrink an arena by \(bytes)",
            reason: "a part cannot be unmapped",
            errno: error.rawValue, advice: .raiseLimit("vm.max_map_count"))
        }
        addOffline(run)
        given += run.count
        do throws(Errno) {
          try file?.punch(self.bytes(of: run))
        } catch {
          // The host gets the memory when the arena ends. `grow` zeroes it before use.
          unsafe mayKeepBytes = true
          for run in runs[(number + 1)...] { allocator.bringOnline(run, zeroed: false) }
          throw HoldfastError(
            .host, operation: "shrink an arena by \(bytes)", reason: "fallocate(2) failed",
            errno: error.rawValue,
            advice: .other("again, or end the arena, which returns all of its memory"))
        }
      }
      return geometry.bytes(given)
    }
  }

  private func bytes(of run: FrameRun) -> Range<UInt64> {
    let start = geometry.bytes(run.start - Frame(0)).rawValue
    return start..<start + geometry.bytes(run.count).rawValue
  }

  /// Maps frames without memory, binds them to their domain's node, populates them and locks them.
  private func populate(
    _ run: FrameRun, _ choice: BackingChoice, _ operation: String, _ host: HostCapabilities,
    _ progress: (@Sendable (ByteCount) -> Void)?
  ) throws(HoldfastError) {
    let bytes = bytes(of: run)
    let domain = allocator.domain(of: run.start)
    guard let index = allocator.domains.firstIndex(where: { $0 === domain }) else {
      preconditionFailure("the frame is not of this arena")
    }
    let like = parts[index]
    let part = ArenaPart(
      bytes: bytes, node: like.node, policy: like.policy, processors: like.processors)
    do throws(Errno) {
      _ = try Arena.mapAndPopulate(
        bytes, directMap.range, file, backing, threads: threads, progress
      ) {
        // If it is refused, the node that a thread runs on decides, as when the arena was created.
        if let node = part.node, let policy = part.policy {
          _ = try? directMap.range.bind(bytes, to: [node], policy)
        }
        return [part]
      }
    } catch {
      // Before the probe for the explanation, which must not count it.
      giveBack(run)
      throw choice.shortage(operation, error, host)
    }
    guard backing.hugePageSize == nil, preparation.lockProblem == nil else { return }
    do throws(Errno) {
      try directMap.range.lock(bytes)
    } catch {
      throw HoldfastError(
        .host, operation: operation, reason: Arena.lockProblem(error, host), errno: error.rawValue,
        advice: .raiseLimit("RLIMIT_MEMLOCK (ulimit -l unlimited)"))
    }
  }

  /// Undoes `populate`, however far it came.
  private func giveBack(_ run: FrameRun) {
    unmap(run)
    // If it fails, the host gets the memory when the arena ends. No guest uses it either way.
    _ = try? file?.punch(bytes(of: run))
  }

  private func unmap(_ run: FrameRun) {
    guard (try? directMap.range.reserveFixed(bytes(of: run))) == nil else { return }
    // The kernel allows no further mapping. The frames stay offline, and `grow` maps them again.
    unsafe mayKeepBytes = true
    try? directMap.range.dropTranslations(bytes(of: run))
  }

  // MARK: The frames without memory

  private func removeOffline(_ run: FrameRun) {
    guard let index = unsafe offline.firstIndex(where: { $0.contains(run.start) }) else {
      preconditionFailure("the frame has memory")
    }
    let whole = unsafe offline.remove(at: index)
    if run.end < whole.end {
      unsafe offline.insert(FrameRun(run.end, whole.end - run.end), at: index)
    }
    if whole.start < run.start {
      unsafe offline.insert(FrameRun(whole.start, run.start - whole.start), at: index)
    }
  }

  private func addOffline(_ run: FrameRun) {
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
