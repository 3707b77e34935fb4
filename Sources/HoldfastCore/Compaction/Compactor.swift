/// Empties superpage blocks that are partly used, by moving their pages to free frames of others,
/// so that whole superpages are free again (Linux: `mm/compaction.c`; FreeBSD:
/// `vm_page_alloc_contig` with `vm_page_reclaim_contig`).
///
/// No record is kept for each frame: one scan of all objects finds the owners. Then blocks are
/// emptied, those with the fewest pages first: into blocks that cannot be emptied, because a page
/// in them is wired, then into those with the most pages, until the two meet. The free frames of a
/// block are allocated before its pages move, so that no other thread gets one meanwhile, and are
/// freed with those that the pages have left.
struct Compactor {
  /// The frames that are always left free for other threads.
  private static let reserve = PageCount(64)

  private let memory: PhysicalMemory
  private var blocks: [UInt64: Block] = [:]
  /// The blocks to which pages move, the last one first.
  private var destinations: [UInt64] = []
  private var summary = CompactionSummary()

  /// Pages of an object in contiguous frames.
  private struct Piece {
    let object: MemoryObject
    let range: PageRange
    let start: Frame
  }

  /// A superpage block that is partly used.
  private struct Block {
    /// Its first frame.
    let start: Frame
    var pieces: [Piece] = []
    /// The pages of the pieces.
    var count = PageCount.zero
    /// Whether some page must not move.
    var isFixed = false
  }

  init(_ memory: PhysicalMemory) {
    self.memory = memory
  }

  /// Empties blocks until `wanted` superpages are, or no more can be.
  mutating func run(_ wanted: Int) -> CompactionSummary {
    guard memory.geometry.superpageLevels > 0, !memory.isPlaced else { return summary }
    memory.reservations.breakAll()
    for object in memory.objects.all { survey(object) }
    for domain in memory.allocator.domains { empty(domain, wanted) }
    return summary
  }

  /// Empties blocks of a domain, into blocks of the same domain.
  private mutating func empty(_ domain: FrameDomain, _ wanted: Int) {
    let here = blocks.filter { domain.frames.contains($0.value.start) }
    let candidates = here.filter { !$0.value.isFixed }
      .sorted { ($0.value.count, $0.key) < ($1.value.count, $1.key) }.map(\.key)
    destinations = candidates + here.filter(\.value.isFixed).map(\.key).sorted()
    for (position, number) in candidates.enumerated() {
      guard summary.superpages < wanted, position + 1 < destinations.count,
        let block = blocks.removeValue(forKey: number)
      else { break }
      // This block and those emptied before are no destinations.
      empty(block, domain, lowest: position + 1)
    }
  }

  // MARK: Finding the owners of frames

  private mutating func survey(_ object: MemoryObject) {
    object.forEachResident(in: PageRange(start: .zero, count: object.size)) { range, state in
      let isFixed = !state.isValid || state.isBusy || state.wireCount > 0
      var done = PageCount.zero
      while done < range.count {
        let frame = state.frame + done
        let rest = Reservation.pages.rawValue - frame.rawValue % Reservation.pages.rawValue
        let count = min(PageCount(rest), range.count - done)
        // Whole superpages do not move.
        if count < Reservation.pages {
          let piece = Piece(
            object: object, range: PageRange(start: range.start + done, count: count),
            start: frame)
          add(piece, isFixed: isFixed)
        }
        done += count
      }
    }
  }

  private mutating func add(_ piece: Piece, isFixed: Bool) {
    let number = piece.start.rawValue >> UInt64(Reservation.order)
    let start = Frame(number << UInt64(Reservation.order))
    blocks[number, default: Block(start: start)].pieces.append(piece)
    blocks[number]!.count += piece.range.count
    if isFixed { blocks[number]!.isFixed = true }
  }

  // MARK: Emptying a block

  /// - Parameter lowest: the first block that may be a destination.
  private mutating func empty(_ block: Block, _ domain: FrameDomain, lowest: Int) {
    let free = domain.freeFrames(ofSuperpage: block.start)
    // Otherwise a frame belongs to no object, or the block has changed since the scan.
    guard free + block.count == Reservation.pages else {
      summary.skipped += 1
      return
    }
    // While the block is emptied, neither its free frames nor the destinations are available: other
    // threads must not run short because of that.
    guard domain.occupancy.free >= Reservation.pages + Compactor.reserve else {
      summary.skipped += 1
      return
    }
    var held = domain.isolate(superpage: block.start)
    var isEmpty = true
    pieces: for piece in block.pieces {
      var done = PageCount.zero
      while done < piece.range.count {
        let range = PageRange(from: piece.range.start + done, to: piece.range.end)
        guard let moved = move(piece.object, range, from: piece.start + done, domain, lowest) else {
          isEmpty = false
          break pieces
        }
        held.append((FrameRun(piece.start + done, moved), false))
        done += moved
      }
    }
    // Free the isolated frames together with those that the pages have left.
    for (run, zeroed) in held { memory.free(run, zeroed: zeroed) }
    if isEmpty { summary.superpages += 1 } else { summary.skipped += 1 }
  }

  /// Moves the first pages of a range, as many as fit into one free fragment.
  ///
  /// - Returns: how many; nil where there is no room, or where they must not move now.
  private mutating func move(
    _ object: MemoryObject, _ range: PageRange, from frame: Frame, _ domain: FrameDomain,
    _ lowest: Int
  ) -> PageCount? {
    while destinations.count > lowest, let number = destinations.last {
      let start = Frame(number << UInt64(Reservation.order))
      guard
        let run = domain.allocateFragment(ofSuperpage: start, limit: range.count)
      else {
        destinations.removeLast()
        continue
      }
      let part = PageRange(start: range.start, count: run.count)
      guard object.move(part, from: frame, to: run.start) else {
        domain.free(run, zeroed: false)
        return nil
      }
      summary.moved += run.count
      return run.count
    }
    return nil
  }
}

extension PhysicalMemory {
  /// Makes whole superpages free again where free memory is fragmented, by moving pages that are
  /// neither wired nor busy (Linux: /proc/sys/vm/compact_memory). Breaks all reservations. A page
  /// that moves loses its translations, and the next access faults, so a running guest needs a
  /// fault handler, which calls `AddressSpace.fault`. A page that a device or the kernel accesses
  /// without a translation must be held (`AddressSpace.hold`). Does nothing to placed memory.
  ///
  /// - Parameter superpages: how many to make free, or nil for as many as possible.
  /// - Complexity: O(runs of all objects + pages moved). Takes the locks of objects, pmaps and
  ///   domains in turn; copies without locks. Safe to call while guests run.
  @discardableResult
  public func compact(superpages: Int? = nil) -> CompactionSummary {
    var compactor = Compactor(self)
    return compactor.run(superpages ?? .max)
  }
}
