extension AddressSpace {
  /// Calls `body` with each run of resident pages that is mapped in a range, in ascending order, cut
  /// to the range and to superpage slots. Takes the lock shared and the objects' in turn; `body` may
  /// not call back.
  ///
  /// - Complexity: O(entries + superpage slots of the range).
  public func forEachResident(
    in range: AddressRange, _ body: (Address, FrameRun, PageState) -> Void
  ) {
    lock.withSharedLock {
      var position = positionLocked(after: range.start)
      while position < entries.count, entries[position].range.start < range.end {
        let entry = entries[position]
        position += 1
        guard let object = entry.object else { continue }
        let part = entry.range.clamped(to: range)
        let pages = entry.pages(of: part, geometry)
        object.forEachResident(in: pages) { run, state in
          body(
            part.start + geometry.bytes(run.start - pages.start),
            FrameRun(state.frame, run.count), state)
        }
      }
    }
  }
}
