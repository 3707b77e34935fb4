extension Invariants {
  /// References, mappings and the states of pages.
  mutating func checkObjects() {
    for (object, references, mapped) in objects.values {
      let state = object.lock.withLock {
        (object.references, object.copiesUnderWay, object.mappings.count)
      }
      if state.0 != references {
        problems.append("an object counts \(state.0) references and has \(references)")
      }
      if state.1 != 0 { problems.append("\(state.1) copies are left under way") }
      if state.2 != mapped {
        problems.append("an object knows \(state.2) mappings and has \(mapped)")
      }
      checkReach(object)
      let key = ObjectIdentifier(object)
      object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
        if !state.isValid || state.isBusy { problems.append("pages \(range) are left \(state)") }
        for index in range.start.rawValue..<range.end.rawValue {
          let expected = wirings[PageKey(object: key, index: index)] ?? 0
          if expected != Int(state.wireCount) {
            problems.append("page \(index) is wired \(state.wireCount) times, not \(expected)")
          }
        }
      }
    }
  }

  /// Of an object that only one mapping can reach, or parts of one, no page is resident that is
  /// neither mapped nor held.
  private mutating func checkReach(_ object: MemoryObject) {
    var unreachable: [PageRange] = []
    object.lock.withLock {
      if !object.isOnlyMapping || object.mappings.isEmpty { return }
      object.forEachUnmappedLocked(in: PageRange(start: .zero, count: object.size)) { part in
        object.pages.forEach(in: part) { run, state in
          if let state, state.wireCount == 0 { unreachable.append(run) }
          return true
        }
      }
    }
    problems += unreachable.map { "pages \($0) are resident and cannot be reached" }
  }

  /// Every frame is free, set aside by a reservation, held by the caller, or in one slot of one
  /// object.
  mutating func checkFrames() {
    var seen: Set<UInt64> = []
    for (object, _, _) in objects.values {
      object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
        for frame in state.frame.rawValue..<(state.frame + range.count).rawValue
        where !seen.insert(frame).inserted {
          problems.append("frame \(frame) is in two slots")
        }
      }
    }
    let occupancy = memory.allocator.occupancy
    let reserved = checkReservations()
    let accounted = PageCount(UInt64(seen.count)) + occupancy.free + reserved + held
    if accounted != occupancy.total {
      problems.append(
        "of \(occupancy.total.rawValue) frames \(occupancy.free.rawValue) are free and "
          + "\(seen.count) in objects")
    }
  }

  /// Each reservation is partly populated, by pages of its own region, each in its own frame
  /// (FreeBSD: `vm_reserv_populate`).
  ///
  /// - Returns: how many frames reservations have set aside for absent pages.
  private mutating func checkReservations() -> PageCount {
    var unpopulated = PageCount.zero
    var count = 0
    let owners = Dictionary(
      uniqueKeysWithValues: objects.values.map { (object, _, _) in
        (object.lock.withLock { ObjectIdentifier(object.reservationOwner) }, object)
      })
    for reservation in memory.reservations.all {
      count += 1
      unpopulated += reservation.unpopulated
      let members = (0..<512).filter { reservation.populated.contains($0) }
      if members.count != reservation.population || !(1..<512).contains(members.count) {
        problems.append("a reservation counts \(reservation.population) of \(members.count) pages")
      }
      guard let owner = owners[reservation.key.owner] else {
        problems.append("a reservation belongs to no object")
        continue
      }
      for slot in members {
        let index = reservation.key.first + PageCount(UInt64(slot))
        if owner.state(of: index)?.frame != reservation.start + PageCount(UInt64(slot)) {
          problems.append("page \(index) is not in its reservation's frame")
        }
      }
    }
    let statistics = memory.reservations.statistics
    if statistics.partial != count || statistics.unpopulated != unpopulated {
      problems.append("reservations count \(statistics) and are \(count) with \(unpopulated)")
    }
    return unpopulated
  }

  /// Translations are those of the topmost pages and allow no more than the entries do.
  mutating func checkTranslations(_ space: AddressSpace, _ number: Int) {
    guard let pmap = space.pmap as? any InspectablePmap else { return }
    let geometry = space.geometry
    var translations: [Address: (frame: Frame, protection: Protection, isWired: Bool?)] = [:]
    pmap.forEachTranslation { address, frames, protection, isWired in
      for page in 0..<frames.count.rawValue {
        translations[address + geometry.bytes(PageCount(page))] = (
          frames.start + PageCount(page), protection, isWired
        )
      }
    }
    space.lock.withSharedLock {
      space.entries.visitAll { check($0, geometry, number, &translations) }
    }
    for address in translations.keys.sorted() {
      problems.append("space \(number): \(address) is mapped and should not be")
    }
  }

  private mutating func check(
    _ entry: MapEntry, _ geometry: Geometry, _ number: Int,
    _ translations: inout [Address: (frame: Frame, protection: Protection, isWired: Bool?)]
  ) {
    guard let object = entry.object else { return }
    let pages = entry.pages(of: entry.range, geometry)
    var wrong: [String] = []
    object.forEachTopmost(in: pages) { run, holder, _, state in
      for page in 0..<run.count.rawValue {
        let index = run.start + PageCount(page)
        let address = entry.range.start + geometry.bytes(index - pages.start)
        guard let found = translations.removeValue(forKey: address) else {
          if entry.isWired { wrong.append("\(address) is wired and not mapped") }
          continue
        }
        let mayWrite = holder === object && !entry.needsCopy
        let allowed = mayWrite ? entry.protection : entry.protection.subtracting(.write)
        if found.frame != state.frame + PageCount(page) {
          wrong.append("\(address) is mapped to frame \(found.frame), not to its page's")
        }
        if !found.protection.isSubset(of: allowed) {
          wrong.append("\(address) is mapped \(found.protection), where \(allowed) is allowed")
        }
        // A wired page must not fault, so its translation allows all that the entry does.
        if entry.isWired, found.protection != entry.protection {
          wrong.append("\(address) is wired and mapped \(found.protection)")
        }
        if let isWired = found.isWired, isWired != entry.isWired {
          wrong.append("\(address) is \(entry.isWired ? "not " : "")wired in the pmap")
        }
      }
    }
    problems += wrong.map { "space \(number): " + $0 }
  }
}
