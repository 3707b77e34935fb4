public import HoldfastCore

/// What a guest program found, over all processors.
public struct GuestResult: Hashable, Sendable {
  /// The program's name.
  public let program: String
  /// How many processors ran it.
  public let processors: Int
  /// Words that were accessed; one that is accessed in several passes counts each time. Where a
  /// program was stopped, only whole passes count.
  public let touches: UInt64
  /// Words that were not zero, for the scans, or not the pattern; 0 where a program compares
  /// nothing.
  public let wrongWords: UInt64
  /// The lowest address among the first wrong words of the processors, or nil where no word was
  /// wrong.
  public let firstWrong: Address?
  /// The smallest number of passes that a processor finished.
  public let passes: UInt64
  /// Whether every processor reached the end of its program.
  public let isComplete: Bool
  /// How often each kind of exit occurred.
  public let exits: [VMExit.Kind: UInt64]
  /// The time from the start to the end of the last processor.
  public let duration: Duration
}

extension GuestResult: CustomStringConvertible {
  /// A few lines for people: a sentence, the first wrong word where there is one, and the exits.
  public var description: String {
    let processors = processors == 1 ? "1 processor" : "\(processors) processors"
    let exits = exits.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", ")
    return "\(program) on \(processors): \(touches) words in \(duration.shortText)"
      + (isComplete ? "" : ", stopped before its end")
      + (firstWrong.map { "\n  wrong: \(wrongWords) words, first at \($0)" } ?? "")
      + (exits.isEmpty ? "" : "\n  exits: \(exits)")
  }
}

extension GuestResult: Codable {
  private enum CodingKeys: String, CodingKey {
    case program, processors, touches, wrongWords, firstWrong, passes, exits
    case isComplete = "complete"
    case duration = "seconds"
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    program = try values.decode(String.self, forKey: .program)
    processors = try values.decode(Int.self, forKey: .processors)
    touches = try values.decode(UInt64.self, forKey: .touches)
    wrongWords = try values.decode(UInt64.self, forKey: .wrongWords)
    firstWrong = try values.decodeIfPresent(Address.self, forKey: .firstWrong)
    passes = try values.decode(UInt64.self, forKey: .passes)
    isComplete = try values.decode(Bool.self, forKey: .isComplete)
    var exits: [VMExit.Kind: UInt64] = [:]
    for (name, count) in try values.decode([String: UInt64].self, forKey: .exits) {
      guard let kind = VMExit.Kind(rawValue: name) else {
        throw DecodingError.dataCorruptedError(
          forKey: .exits, in: values, debugDescription: "\(name) is not a kind of exit")
      }
      exits[kind] = count
    }
    self.exits = exits
    duration = .bounded(seconds: try values.decode(Double.self, forKey: .duration))
  }

  /// Writes an object. `exits` is an object of counts by kind, `seconds` the duration, and
  /// `firstWrong` is null where no word was wrong.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(program, forKey: .program)
    try values.encode(processors, forKey: .processors)
    try values.encode(touches, forKey: .touches)
    try values.encode(wrongWords, forKey: .wrongWords)
    try values.encode(firstWrong, forKey: .firstWrong)
    try values.encode(passes, forKey: .passes)
    try values.encode(isComplete, forKey: .isComplete)
    let exits = Dictionary(uniqueKeysWithValues: exits.map { ($0.key.rawValue, $0.value) })
    try values.encode(exits, forKey: .exits)
    try values.encode(duration.seconds, forKey: .duration)
  }
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

/// The work of one processor.
struct GuestTally: Sendable {
  var touches: UInt64 = 0
  var wrongWords: UInt64 = 0
  var firstWrong: Address?
  var passes: UInt64 = .max
  var isComplete = true
  var exits: [VMExit.Kind: UInt64] = [:]
}
