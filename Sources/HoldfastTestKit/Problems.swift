package import HoldfastCore

/// Addresses of a space at which only one object is mapped.
package struct SharedArea: Sendable {
  /// The addresses.
  package var range: AddressRange
  /// The object.
  package var object: MemoryObject

  /// The addresses of an object.
  package init(_ range: AddressRange, _ object: MemoryObject) {
    self.range = range
    self.object = object
  }
}

extension Machine {
  /// What is wrong with a space that no operation works on, as sentences: translations that differ
  /// from the entries or from the object's pages, absent wired pages, calls that broke the pmap's
  /// rules.
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
        problems.append("\(range) is mapped outside the entries")
        next += 1
      }
      while next < mappings.count, mappings[next].address < entry.range.end {
        let mapping = mappings[next]
        let part = extent(of: mapping).clamped(to: entry.range)
        covered += part.length
        if mapping.isWired != isWired {
          problems.append("\(part) is \(isWired ? "not " : "")wired in the pmap")
        }
        // A page that is to be copied before a write lacks that permission; `Invariants` knows
        // which.
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
        problems.append("\(entry.range) is wired, but only \(covered) are mapped")
      }
    }
    if next < mappings.count, mappings[next].address >= (space.entryViews.last?.range.end ?? .zero)
    {
      problems.append("\(mappings[next].address) is mapped after the last entry")
    }
    return problems
  }

  private func extent(of mapping: CheckingPmap.Mapping) -> AddressRange {
    AddressRange(from: mapping.address, to: mapping.address + geometry.bytes(mapping.frames.count))
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
    if count != range.count { problems.append("only \(count) pages of \(range) are resident") }
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
        problems.append(
          "page \(part.start) is in frame \(state.frame), but another frame is mapped")
      }
      if !state.isValid { problems.append("page \(part.start) is mapped but not valid") }
    }
    if count != range.count { problems.append("absent pages of \(range) are mapped") }
    return problems
  }
}
