package import HoldfastCore

/// A pmap that records the translations that hardware would have, at the largest page sizes that
/// alignment allows, and checks every call against them. `violations` has the calls that broke the
/// protocol's rules.
package final class CheckingPmap: InspectablePmap, @unchecked Sendable {
  /// One translation: a page of a level.
  package struct Mapping: Hashable, Sendable {
    /// The first address.
    package var address: Address
    /// The frames, a page of some level.
    package var frames: FrameRun
    /// The permitted accesses.
    package var protection: Protection
    /// Whether the translation must not fault.
    package var isWired: Bool
  }

  private let geometry: Geometry
  private let mappingLimit: MappingLimit?
  private let lock = Lock()
  // Protected by `lock`.
  private var sorted: [Mapping] = []
  private var broken: [String] = []
  private var entered = 0
  private var failAt: Int?
  private var demoted = 0
  /// The addresses at which translations may be split, because that was prepared.
  private var prepared: Set<Address> = []
  private var mayPrepare = true
  /// The ends of reaches, and up to which address their pages have been entered.
  private var reaches: [Address: Address] = [:]
  private var hook: (@Sendable (FrameRun, Address) -> Void)?
  /// How many mappings `mappingLimit` counts for this pmap.
  private var counted = 0
  /// What calls of `enter` have entered, or should have, since the last `endOperation`, where there
  /// is a limit of mappings, and whether one of them failed, so that the operation undoes them.
  private var undoable: (ranges: [AddressRange], hasFailed: Bool) = ([], false)
  private var removalHook: (@Sendable (AddressRange) -> Void)?

  /// A pmap without translations.
  ///
  /// - Parameter mappingLimit: the limit beyond which `enter` and `prepareToSplit` fail.
  package init(geometry: Geometry, mappingLimit: MappingLimit? = nil) {
    self.geometry = geometry
    self.mappingLimit = mappingLimit
  }

  /// All translations in ascending order.
  package var mappings: [Mapping] { lock.withLock { sorted } }
  /// The calls that broke the protocol's rules, as sentences.
  package var violations: [String] { lock.withLock { broken } }
  /// The number of superpages that were split.
  package var demotions: Int { lock.withLock { demoted } }
  /// The number of calls of `enter` so far.
  package var calls: Int { lock.withLock { entered } }

  /// Lets the `number`th call of `enter` from now on, counted from 0, fail; nil lets all succeed.
  /// The failing call enters the first half of the run, or a single page, and leaves what is mapped
  /// in the second half, as the protocol allows.
  package func fail(at number: Int?) {
    lock.withLock { failAt = number.map { entered + $0 } }
  }

  /// Sets whether `prepareToSplit` succeeds from now on.
  package func allowSplits(_ isAllowed: Bool) {
    lock.withLock { mayPrepare = isAllowed }
  }

  /// Permits splits at the bounds of the range, or fails where `allowSplits` forbade that.
  package func prepareToSplit(_ range: AddressRange) throws(HoldfastError) {
    lock.lock()
    defer { lock.unlock() }
    try checkSplit(range)
    if let mappingLimit, mappingLimit.kind == .removalsSplit,
      !mappingLimit.allows(mappingCount(without: range) - counted)
    {
      throw mappingLimit.shortage(at: range.start)
    }
    prepared.formUnion([range.start, range.end])
  }

  /// Permits splits at the bounds of the ranges, or fails where `allowSplits` forbade that.
  package func prepareToProtect(
    _ changes: [(range: AddressRange, protection: Protection)]
  ) throws(HoldfastError) {
    lock.lock()
    defer { lock.unlock() }
    for change in changes { try checkSplit(change.range) }
    if let mappingLimit, mappingLimit.kind == .removalsSplit,
      !mappingLimit.allows(mostMappings(during: changes) - counted)
    {
      throw mappingLimit.shortage(at: changes.first?.range.start ?? .zero)
    }
    for change in changes { prepared.formUnion([change.range.start, change.range.end]) }
  }

  private func checkSplit(_ range: AddressRange) throws(HoldfastError) {
    guard mayPrepare || ![range.start, range.end].contains(where: isInside) else {
      throw HoldfastError(
        .resourceShortage, at: range.start, "the pmap was told not to split", errno: 12)
    }
  }

  /// Forgets what was prepared and entered, because the operation that did it has ended. Without,
  /// what one operation has prepared would hide that another one prepares nothing.
  package func endOperation() {
    lock.withLock {
      prepared = []
      undoable = ([], false)
    }
  }

  /// Whether an address lies inside a superpage.
  private func isInside(_ address: Address) -> Bool {
    let place = position(after: address)
    return place < sorted.count && sorted[place].address < address
  }

  /// Whether a reach was begun and not ended.
  package var hasOpenReach: Bool { lock.withLock { !reaches.isEmpty } }

  /// Checks that all pages of the reach were entered or removed.
  package func endReach(_ range: AddressRange) {
    lock.withLock {
      if let next = reaches.removeValue(forKey: range.end), next < range.end {
        broken.append(
          "the reach \(range) ended, but from \(next) on no page was entered or removed")
      }
    }
  }

  /// Calls `body` before a run is entered, without the lock: it may read the frames or wait for
  /// another thread.
  package func beforeEntering(_ body: (@Sendable (FrameRun, Address) -> Void)?) {
    lock.withLock { hook = body }
  }

  /// Calls `body` before translations are removed, without the lock. The caller of `remove` may
  /// hold locks, among them that of an object.
  package func beforeRemoving(_ body: (@Sendable (AddressRange) -> Void)?) {
    lock.withLock { removalHook = body }
  }

  /// Calls `body` with all translations in ascending order.
  package func forEachTranslation(_ body: (Address, FrameRun, Protection, Bool?) -> Void) {
    for mapping in mappings {
      body(mapping.address, mapping.frames, mapping.protection, mapping.isWired)
    }
  }

  /// The translation of an address.
  package func mapping(at address: Address) -> Mapping? {
    var found: Mapping?
    _ = touch(address) { found = $0 }
    return found
  }

  /// Accesses an address as a guest does: calls `body` with the translation, which cannot be
  /// removed meanwhile.
  ///
  /// - Returns: false where the address has no translation, so that a guest would fault.
  package func touch(_ address: Address, _ body: (Mapping) -> Void) -> Bool {
    lock.withLock {
      let position = position(after: address)
      guard position < sorted.count, sorted[position].address <= address else { return false }
      body(sorted[position])
      return true
    }
  }

  /// Records the translations, and checks the reach and wired pages that are replaced.
  package func enter(
    _ run: FrameRun, at address: Address, protection: Protection, wired: Bool,
    reach: AddressRange?
  ) throws(HoldfastError) {
    lock.withLock { hook }?(run, address)
    lock.lock()
    defer { lock.unlock() }
    if let reach {
      if reach.start > address || !reach.contains(address) {
        broken.append("\(address) is not in its reach, or the reach starts later")
      }
      // A pmap may map all of the reach to the frames beside these, over what is there.
      for old in sorted.dropFirst(position(after: address)) where old.address < reach.end {
        let beside = run.start + geometry.pages(in: max(old.address, address) - address)
        if old.frames.start != beside, old.address >= address {
          broken.append("a page at \(old.address) lies in the reach of another")
        }
      }
    }
    if let reach { reaches[reach.end] = address }
    for (end, next) in reaches where next == address {
      reaches[end] = min(end, address + geometry.bytes(run.count))
    }
    if !address.isAligned(to: geometry.pageSize) { broken.append("\(address) is not aligned") }
    let fails = entered == failAt
    entered += 1
    let half = FrameRun(run.start, max(.one, PageCount(run.count.rawValue / 2)))
    if mappingLimit != nil {
      undoable.ranges.append(AddressRange(from: address, to: address + geometry.bytes(run.count)))
    }
    if fails {
      undoable.hasFailed = true
      record(half, at: address, protection, wired)
      recount()
      throw HoldfastError(.resourceShortage, at: address, "the pmap was told to fail", errno: 12)
    }
    let before = mappingLimit == nil ? [] : sorted
    record(run, at: address, protection, wired)
    if let mappingLimit, !mappingLimit.allows(mappingCount() - counted) {
      sorted = before
      undoable.hasFailed = true
      // Every second refusal enters the first half, as the protocol allows; the caller removes it.
      if mappingLimit.refusals % 2 == 0 { record(half, at: address, protection, wired) }
      recount()
      throw mappingLimit.shortage(at: address)
    }
    recount()
  }

  /// Records translations in place of what is there.
  private func record(
    _ run: FrameRun, at address: Address, _ protection: Protection, _ wired: Bool
  ) {
    let limit = run.count
    for old in take(AddressRange(from: address, to: address + geometry.bytes(limit))) {
      let frame = run.start + geometry.pages(in: old.address - address)
      // A copy may replace a wired page, but not without a wired translation at any moment.
      if old.isWired, old.frames.start != frame, !wired {
        broken.append("a wired page at \(old.address) was replaced by an unwired one")
      }
    }
    var done = PageCount.zero
    while done < limit {
      let place = address + geometry.bytes(done)
      let frame = run.start + done
      let page = geometry.pages(in: ByteCount(place.rawValue))
      let level = largestLevel(page: page, frame: frame, limit: limit - done)
      let count = PageCount.order(geometry.order(ofLevel: level))
      insert(
        Mapping(
          address: place, frames: FrameRun(frame, count), protection: protection, isWired: wired))
      done += count
    }
  }

  /// Removes the translations, and checks that superpages may be split.
  package func remove(_ range: AddressRange) {
    lock.withLock { removalHook }?(range)
    lock.withLock {
      checkPrepared(range)
      for (end, next) in reaches where range.start <= next && range.end >= end {
        reaches[end] = end
      }
      _ = take(range)
      checkRemoval(range, excess: recount())
    }
  }

  /// Sets the protection of the translations, and checks that superpages may be split.
  package func protect(_ range: AddressRange, _ protection: Protection) {
    lock.withLock {
      checkPrepared(range)
      change(range, protection)
      let excess = recount()
      if excess > 0 { broken.append("protecting \(range) takes \(excess) mappings too many") }
    }
  }

  private func change(_ range: AddressRange, _ protection: Protection) {
    for var mapping in take(range) {
      mapping.protection = protection
      insert(mapping)
    }
  }

  /// The most mappings that there would be while protections change one after the other.
  private func mostMappings(
    during changes: [(range: AddressRange, protection: Protection)]
  ) -> Int {
    let before = (sorted, demoted)
    var most = counted
    for (range, protection) in changes {
      change(range, protection)
      most = max(most, mappingCount())
    }
    (sorted, demoted) = before
    return most
  }

  /// The mappings that the kernel would have for the translations, without those of a range.
  private func mappingCount(without hole: AddressRange? = nil) -> Int {
    var counter = MappingCounter(geometry)
    for mapping in sorted { counter.add(mapping, hole: hole) }
    return counter.count
  }

  /// Brings the limit's count up to date.
  ///
  /// - Returns: how many mappings were made beyond the limit.
  @discardableResult
  private func recount() -> Int {
    guard let mappingLimit else { return 0 }
    let before = counted
    counted = mappingCount()
    return mappingLimit.change(by: counted - before)
  }

  /// Checks that a removal exceeds the limit only where that was prepared, or undoes what a failed
  /// operation has entered: that may have joined mappings, whose place others took since. The
  /// removals of a copy are prepared one by one before the first.
  private func checkRemoval(_ range: AddressRange, excess: Int) {
    let isPrepared = prepared.contains(range.start) && prepared.contains(range.end)
    if excess <= 0 || isPrepared { return }
    if undoable.hasFailed, undoable.ranges.contains(where: range.overlaps) { return }
    broken.append("\(range) takes \(excess) mappings beyond the limit and was not prepared")
  }

  /// Marks the translations as not wired, and checks that all were.
  package func unwire(_ range: AddressRange) {
    lock.withLock {
      for var mapping in take(range) {
        if !mapping.isWired { broken.append("\(mapping.address) is unwired without being wired") }
        mapping.isWired = false
        insert(mapping)
      }
    }
  }

  private func largestLevel(page: PageCount, frame: Frame, limit: PageCount) -> Int {
    for level in stride(from: geometry.superpageLevels, to: 0, by: -1) {
      let order = geometry.order(ofLevel: level)
      if frame.isAligned(toOrder: order), page.rawValue & ((1 << UInt64(order)) - 1) == 0,
        limit >= .order(order)
      {
        return level
      }
    }
    return 0
  }

  private func end(of mapping: Mapping) -> Address {
    mapping.address + geometry.bytes(mapping.frames.count)
  }

  /// The position of the first translation that ends after `address`.
  private func position(after address: Address) -> Int {
    sorted.partitioningIndex { end(of: $0) > address }
  }

  private func insert(_ mapping: Mapping) {
    sorted.insert(mapping, at: position(after: mapping.address))
  }

  /// Checks that splits at the bounds were prepared, because they must not fail.
  private func checkPrepared(_ range: AddressRange) {
    for bound in [range.start, range.end] where isInside(bound) && !prepared.contains(bound) {
      broken.append("a superpage is split at \(bound), which was not prepared")
    }
  }

  /// Removes and returns the translations of a range. Splits superpages at its ends first.
  private func take(_ range: AddressRange) -> [Mapping] {
    for bound in [range.start, range.end] { split(at: bound) }
    let first = position(after: range.start)
    var last = first
    while last < sorted.count, sorted[last].address < range.end { last += 1 }
    let taken = Array(sorted[first..<last])
    sorted.removeSubrange(first..<last)
    return taken
  }

  /// Splits the superpage that contains an address, level by level, until the address is its start.
  private func split(at address: Address) {
    while true {
      let place = position(after: address)
      guard place < sorted.count, sorted[place].address < address else { return }
      let whole = sorted[place]
      let part = PageCount(whole.frames.count.rawValue / 512)
      guard part > .zero else {
        broken.append("\(address) lies inside a base page")
        return
      }
      demoted += 1
      let parts = (0..<UInt64(512)).map { index in
        let ahead = PageCount(index * part.rawValue)
        return Mapping(
          address: whole.address + geometry.bytes(ahead),
          frames: FrameRun(whole.frames.start + ahead, part), protection: whole.protection,
          isWired: whole.isWired)
      }
      sorted.replaceSubrange(place...place, with: parts)
    }
  }
}
