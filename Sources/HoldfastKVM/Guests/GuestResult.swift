public import HoldfastCore

/// What came of a guest program, over all processors.
public struct GuestResult: Hashable, Sendable {
  public let program: String
  public let processors: Int
  /// Words that were touched; a word that is touched in several passes counts as often. Of what was
  /// stopped in the middle only whole passes count.
  public let touches: UInt64
  /// Words that were not zero, for the scans, or not the pattern; 0 where a program compares nothing.
  public let wrongWords: UInt64
  /// The lowest of the addresses that the processors found wrong first, or nil.
  public let firstWrong: Address?
  /// Of `touch`, the fewest passes that a processor has checked; else how many the program has.
  public let passes: UInt64
  /// Whether every processor came to its program's end.
  public let isComplete: Bool
  /// How often the processors came back from the guest, and why.
  public let exits: [VMExit.Kind: UInt64]
  /// From the start to the end of the last processor.
  public let duration: Duration
}

/// What one processor has done.
struct GuestTally: Sendable {
  var touches: UInt64 = 0
  var wrongWords: UInt64 = 0
  var firstWrong: Address?
  var passes: UInt64 = .max
  var isComplete = true
  var exits: [VMExit.Kind: UInt64] = [:]
}

extension GuestResult {
  init(_ program: GuestProgram, _ tallies: [GuestTally], _ duration: Duration) {
    self.program = program.name
    processors = tallies.count
    touches = tallies.reduce(0) { $0 &+ $1.touches }
    wrongWords = tallies.reduce(0) { $0 &+ $1.wrongWords }
    firstWrong = tallies.compactMap(\.firstWrong).min()
    let fewest = tallies.map(\.passes).min() ?? 0
    passes = fewest == .max ? 0 : fewest
    isComplete = tallies.allSatisfy(\.isComplete)
    exits = tallies.reduce(into: [:]) { $0.merge($1.exits) { $0 + $1 } }
    self.duration = duration
  }
}
