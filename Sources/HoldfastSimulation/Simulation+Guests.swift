internal import HoldfastCore

// The guests' arrivals, departures and writes.

extension Simulation {
  private var geometry: Geometry { memory.geometry }

  private var free: ByteCount { geometry.bytes(memory.available) }

  /// The number of base pages that a guest of a size writes to in one round.
  func pagesToWrite(_ size: ByteCount) -> UInt64 {
    let pages = Double(geometry.pages(in: size).rawValue) * options.dirtyShare
    return UInt64((pages / Double(Simulation.rounds)).rounded(.up))
  }

  /// A guest arrives: it is wired, paged, or a fork of a running guest of its size, if there is
  /// one.
  mutating func arrive(_ number: Int) {
    let guest = plan.guests[number]
    var random = RandomSource(seed: guest.seed)
    figures.guests.arrived += 1
    if guest.kind == .fork, let original = running.any(of: guest.size, &random) {
      fork(original, number, random.next())
    } else {
      start(number, guest.size, isWired: guest.kind != .paged, random.next())
    }
    figures.guests.mostAtOnce = max(figures.guests.mostAtOnce, running.all.count)
  }

  /// A guest departs and frees all its memory.
  mutating func depart(_ number: Int, isTimed: Bool) {
    guard let guest = running.remove(number) else { return }
    figures.record(.free, number, 0)
    do throws(HoldfastError) {
      if isTimed {
        try timed(.free) { () throws(HoldfastError) in try guest.space.remove(guest.range) }
      } else {
        try guest.space.remove(guest.range)
      }
    } catch {
      preconditionFailure("a guest's memory cannot be unmapped: \(error)")
    }
  }

  private mutating func refuse(_ number: Int, _ size: ByteCount) {
    record(number) { $0.isRefused = true }
    figures.guests.refused += 1
    figures.guests.refusedBytes += size
  }

  /// Records what a guest got, if that is wanted.
  private mutating func record(_ number: Int, _ change: (inout GuestOutcome) -> Void) {
    if !outcomes.isEmpty { change(&outcomes[number]) }
  }

  private mutating func start(_ number: Int, _ size: ByteCount, isWired: Bool, _ seed: UInt64) {
    if isWired, size >= geometry.size(ofLevel: geometry.superpageLevels) {
      record(number) { $0.isCapable = true }
    }
    guard size <= free else {
      refuse(number, size)
      return
    }
    let range = AddressRange(from: .zero, to: .zero + size)
    do throws(HoldfastError) {
      let space = try AddressSpace(bounds: range, memory: memory, pmap: NullPmap())
      let guest = RunningGuest(
        number: number, space: space, range: range, isWired: isWired, seed: seed)
      guard isWired else {
        try space.map(at: range)
        running.insert(guest)
        figures.guests.paged += 1
        write(guest)
        return
      }
      figures.record(.wire, number, size.rawValue)
      let summary = try timed(.wire) { () throws(HoldfastError) in
        try space.map(at: range)
        return try space.wire(range)
      }
      count(summary, number, space, range)
      running.insert(guest)
      figures.guests.wired += 1
    } catch {
      // The guest fits, so only a defective allocator fails; the check at the end reports it.
      figures.shortages += 1
    }
  }

  private mutating func count(
    _ summary: WireSummary, _ number: Int, _ space: AddressSpace, _ range: AddressRange
  ) {
    let before = figures.wires
    defer { count(figures.wires.since(before), number, range) }
    figures.wires.count += 1
    figures.wires.bytes += range.length
    figures.wires.zeroedAheadBytes += geometry.bytes(summary.zeroedAhead)
    // Adjacent runs count as one, as the pmap maps them, in however many slots of the object they
    // are.
    var joined: (start: Address, frames: FrameRun)?
    space.forEachResident(in: range) { address, run, _ in
      if let last = joined, last.frames.end == run.start,
        last.start + geometry.bytes(last.frames.count) == address
      {
        joined = (last.start, FrameRun(last.frames.start, last.frames.count + run.count))
        return
      }
      if let joined { count(joined.start, joined.frames) }
      joined = (address, run)
    }
    if let joined { count(joined.start, joined.frames) }
  }

  /// Counts what one guest was wired with.
  private mutating func count(
    _ wires: SimulationFigures.Wires, _ number: Int, _ range: AddressRange
  ) {
    let largest = geometry.size(ofLevel: geometry.superpageLevels)
    figures.largestBlocks.add(
      possible: range.length.roundedDown(to: largest),
      bytes: wires.bytesByLevel[geometry.superpageLevels])
    let basePages = geometry.pages(in: wires.bytesByLevel[0]).rawValue
    record(number) { $0.basePages = basePages }
  }

  /// Counts a run by the largest pages that the alignment of address and frames allows.
  private mutating func count(_ address: Address, _ run: FrameRun) {
    var page = geometry.pages(in: address - .zero).rawValue
    var frames = run
    while frames.count > .zero {
      var level = geometry.superpageLevels
      while level > 0 {
        let order = geometry.order(ofLevel: level)
        let isAligned =
          Frame(page).isAligned(toOrder: order)
          && frames.start.isAligned(toOrder: order)
        if isAligned, frames.count >= .order(order) { break }
        level -= 1
      }
      let pages = PageCount.order(geometry.order(ofLevel: level))
      figures.wires.bytesByLevel[level] += geometry.bytes(pages)
      page += pages.rawValue
      frames = FrameRun(frames.start + pages, frames.count - pages)
    }
  }

  /// Starts a guest as a fork. A wired original is unwired first, because a fork copies all wired
  /// pages at once. Both then write to a part of the memory that they share.
  private mutating func fork(_ original: RunningGuest, _ number: Int, _ seed: UInt64) {
    let size = original.range.length
    let pages = PageCount(2 * pagesToWrite(size))
    guard geometry.bytes(pages) <= free else {
      refuse(number, size)
      return
    }
    do throws(HoldfastError) {
      if original.isWired {
        figures.record(.unwire, original.number, size.rawValue)
        try timed(.unwire) { () throws(HoldfastError) in try original.space.unwire(original.range) }
        original.isWired = false
      }
      figures.record(.fork, number, UInt64(original.number))
      let space = try timed(.fork) { () throws(HoldfastError) in
        try original.space.fork(pmap: NullPmap())
      }
      let guest = RunningGuest(
        number: number, space: space, range: original.range, isWired: false, seed: seed)
      running.insert(guest)
      figures.guests.forked += 1
      write(guest)
      write(original)
    } catch {
      figures.shortages += 1
    }
  }

  /// A guest writes to its next pages. It stops where no frame is free.
  mutating func write(_ guest: RunningGuest) {
    let reserved = memory.reservations.statistics.reserved
    defer {
      let more = memory.reservations.statistics.reserved - reserved
      record(guest.number) { $0.reserved += more }
    }
    var left = pagesToWrite(guest.range.length)
    while left > 0 {
      let pages = guest.order.next(atMost: left)
      figures.record(.fault, guest.number, pages.lowerBound)
      for page in pages {
        do throws(HoldfastError) {
          let address = guest.range.start + geometry.bytes(PageCount(page))
          _ = try timed(.fault) { () throws(HoldfastError) in
            try guest.space.fault(address, .readWrite)
          }
          figures.faults += 1
        } catch {
          figures.shortages += 1
          return
        }
      }
      left -= UInt64(pages.count)
    }
  }
}
