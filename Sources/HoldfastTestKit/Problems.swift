package import HoldfastCore

/// An object and the addresses of a space at which nothing but it is mapped.
package struct SharedArea: Sendable {
  package var range: AddressRange
  package var object: MemoryObject

  package init(_ range: AddressRange, _ object: MemoryObject) {
    self.range = range
    self.object = object
  }
}

extension Machine {
  /// What is wrong with a space that no operation works on: translations that do not agree with the
  /// entries or with the object's pages, wired pages that are not there, calls that broke the
  /// pmap's terms.
  package func problems(
    in space: AddressSpace, _ pmap: CheckingPmap, sharing areas: [SharedArea] = []
  ) -> [String] {
    var problems = pmap.violations
    let mappings = pmap.mappings
    var next = 0
    for entry in space.entryViews {
      if entry.isInTransition { problems.append("\(entry.range) is in transition") }
      let isWired = entry.isUserWired || entry.systemWirings > 0
      let area = areas.first { $0.range.contains(entry.range) }
      if isWired, let area {
        problems += pageProblems(of: entry, area.object)
      }
      var covered = ByteCount.zero
      while next < mappings.count, mappings[next].address < entry.range.start {
        let range = extent(of: mappings[next])
        if range.end > entry.range.start { break }
        problems.append("\(range) is mapped outside of the entries")
        next += 1
      }
      while next < mappings.count, mappings[next].address < entry.range.end {
        let mapping = mappings[next]
        let part = extent(of: mapping).clamped(to: entry.range)
        covered += part.length
        if mapping.isWired != isWired {
          problems.append("\(part) is \(isWired ? "not " : "")wired in the pmap")
        }
        // A page that is to be copied before a write lacks that permission; `Invariants` knows which.
        if mapping.protection.union(.write) != entry.protection.union(.write)
          || !mapping.protection.isSubset(of: entry.protection)
        {
          problems.append("\(part) has \(mapping.protection), not \(entry.protection)")
        }
        if let area, let offset = entry.offset {
          let index = offset + geometry.pages(in: part.start - entry.range.start)
          let frame = mapping.frames.start + geometry.pages(in: part.start - mapping.address)
          let pages = PageRange(start: index, count: geometry.pages(in: part.length))
          problems += frameProblems(pages, frame, area.object)
        }
        if extent(of: mapping).end > entry.range.end { break }
        next += 1
      }
      if isWired, covered != entry.range.length {
        problems.append("of \(entry.range), which is wired, only \(covered) are mapped")
      }
    }
    if next < mappings.count, mappings[next].address >= (space.entryViews.last?.range.end ?? .zero)
    {
      problems.append("\(mappings[next].address) is mapped behind the entries")
    }
    return problems
  }

  private func extent(of mapping: CheckingPmap.Mapping) -> AddressRange {
    AddressRange(mapping.address, mapping.address + geometry.bytes(mapping.frames.count))
  }

  private func pageProblems(of entry: MapEntryView, _ object: MemoryObject) -> [String] {
    guard let offset = entry.offset else { return ["\(entry.range) is wired without an object"] }
    let range = PageRange(start: offset, count: geometry.pages(in: entry.range.length))
    var count = PageCount.zero
    var problems: [String] = []
    object.forEachResident(in: range) { part, state in
      count += part.count
      if !state.isValid || state.isBusy || state.wireCount == 0 {
        problems.append("pages \(part) of a wired entry are \(state)")
      }
    }
    if count != range.count { problems.append("of \(range) only \(count) pages are resident") }
    return problems
  }

  private func frameProblems(
    _ range: PageRange, _ frame: Frame, _ object: MemoryObject
  ) -> [String] {
    var count = PageCount.zero
    var problems: [String] = []
    object.forEachResident(in: range) { part, state in
      count += part.count
      if state.frame != frame + (part.start - range.start) {
        problems.append("page \(part.start) is in frame \(state.frame), another one is mapped")
      }
      if !state.isValid { problems.append("page \(part.start) is mapped and not valid") }
    }
    if count != range.count { problems.append("absent pages of \(range) are mapped") }
    return problems
  }
}
