internal import HoldfastCore
internal import HoldfastSimulation

// Blocks of 1 GiB: the guests that got them, and what that cost others.

extension SimulateResult {
  /// How many of the guests that can use blocks of 1 GiB got them.
  var largestBlocks: String {
    let blocks = figures.largestBlocks
    guard blocks.guests > 0 else { return "no guest of 1 GiB or more was wired" }
    return
      "\(count(blocks.guests)) guests can use them: \(count(blocks.complete)) got all of theirs, "
      + "\(count(blocks.partial)) some; \(amount(blocks.bytes)) of "
      + "\(amount(blocks.possibleBytes))"
  }

  /// The run beside the one without blocks of 1 GiB, and what they changed for each guest.
  func text(of comparison: BlockComparison) -> String {
    let without = SimulateResult(comparison.without, trace: trace)
    let rows: [(label: String, value: (SimulateResult) -> String)] = [
      ("guests refused", { self.count($0.figures.guests.refused) }),
      ("wired in pages of 1 GiB", { self.amount($0.figures.wires.bytesByLevel[2]) }),
      ("wired in pages of 4 KiB", { self.amount($0.figures.wires.bytesByLevel[0]) }),
      ("superpages set aside for base pages", { self.count($0.figures.reservations.reserved) }),
      ("of these broken", { self.count($0.figures.reservations.broken) }),
      (
        "free memory in blocks below 2 MiB, mean",
        { self.percent($0.fragmentation.below2MiB.mean) }
      ),
      (
        "free memory in blocks below 1 GiB, mean",
        { self.percent($0.fragmentation.below1GiB.mean) }
      ),
    ]
    return table(
      [["wires take at most", "1 GiB", "2 MiB"]]
        + rows.map { [$0.label, $0.value(self), $0.value(without)] })
      + "\n"
      + table(
        [["guests, by 1 GiB blocks", "all", "worse with", "better", "refused with", "without"]]
          + [("cannot use them", comparison.others), ("can use them", comparison.capable)].map {
            [
              $0.0, count($0.1.guests), count($0.1.worse), count($0.1.better),
              count($0.1.refusedWith), count($0.1.refusedWithout),
            ]
          })
      + "Worse is in fewer superpages of 2 MiB than without the blocks; refused is in one run only.\n"
  }

  /// The comparison as JSON.
  struct ComparisonResult: Encodable {
    let otherGuests: BlockComparison.Effect
    let capableGuests: BlockComparison.Effect
    let without: Without

    /// The run without blocks of 1 GiB.
    struct Without: Encodable {
      let guests: SimulationFigures.Guests
      let wires: SimulationFigures.Wires
      let shortages: Int
      let fragmentation: Fragmentation
      let reservations: Reservations
      let gibBlocks: LargestBlocks
    }

    init(_ comparison: BlockComparison) {
      otherGuests = comparison.others
      capableGuests = comparison.capable
      let figures = comparison.without.figures
      without = Without(
        guests: figures.guests, wires: figures.wires, shortages: figures.shortages,
        fragmentation: Fragmentation(figures), reservations: Reservations(figures.reservations),
        gibBlocks: figures.largestBlocks)
    }
  }
}
