public import HoldfastCore

/// A small program in machine code that accesses a range of guest addresses in steps, one word of 8
/// bytes in each. It needs no other guest memory, so the whole range may be absent.
///
/// Programs compare words with zero or with a pattern, which differs for each address and seed, so
/// they detect a word of another page, guest or time.
public struct GuestProgram: Hashable, Sendable {
  /// The program's name, such as `fill`.
  public let name: String
  /// The machine code, for any address in 64-bit mode.
  public let code: [UInt8]
  /// Whether the program runs until `GuestRun.stop`.
  public let isEndless: Bool
  /// Whether the program accesses all words of a range, whatever the stride.
  public let isDense: Bool
  /// How often the program accesses each word, if it ends by itself.
  let passes: UInt64

  init(
    _ name: String, _ code: [UInt8], isEndless: Bool = false, isDense: Bool = false,
    passes: UInt64 = 1
  ) {
    self.name = name
    self.code = code
    self.isEndless = isEndless
    self.isDense = isDense
    self.passes = passes
  }

  /// Counts words that are not zero, in ascending order.
  public static let scan = GuestProgram("scan", Code.scan)
  /// Counts words that are not zero among all words of the range, with the processor's string
  /// instruction, which takes a fraction of the time for each.
  public static let scanAll = GuestProgram("scan-all", Code.scanAll, isDense: true)
  /// Writes the pattern.
  public static let fill = GuestProgram("fill", Code.fill)
  /// Counts words that differ from the pattern.
  public static let check = GuestProgram("check", Code.check)
  /// Writes the pattern to all words, then counts words that differ from it.
  public static let fillAndCheck = GuestProgram("fill-check", Code.fillAndCheck, passes: 2)
  /// Does what `scan` does in a pseudorandom order, which is the same each time for a seed and
  /// visits each step once (a linear congruential generator with full period).
  public static let walkScan = GuestProgram("walk-scan", Code.walkScan)
  /// Does what `fill` does, in the order of `walkScan`.
  public static let walkFill = GuestProgram("walk-fill", Code.walkFill)
  /// Does what `check` does, in the order of `walkScan`.
  public static let walkCheck = GuestProgram("walk-check", Code.walkCheck)
  /// Writes the pattern, then in each pass checks every word and writes the pattern of the next
  /// pass, until it is stopped. `GuestRun.passes` counts its passes.
  public static let touch = GuestProgram("touch", Code.touch, isEndless: true)
  /// Runs in a loop without accessing memory, for tests. It ends only by `GuestRun.cancel`.
  package static let spin = GuestProgram("spin", Code.spin, isEndless: true)

  /// Returns the pattern's word for an address, which is never zero for aligned addresses.
  ///
  /// - Parameters:
  ///   - address: a guest address, a multiple of 8.
  ///   - seed: the task's seed.
  ///   - pass: how many passes `touch` has done; 0 for all other programs.
  public static func pattern(at address: Address, seed: UInt64, pass: UInt64 = 0) -> UInt64 {
    (address.rawValue &+ (seed | 1) &+ 2 &* pass) &* Code.multiplier
  }
}

/// A guest program with the memory that it accesses.
public struct GuestTask: Hashable, Sendable {
  /// The program.
  public var program: GuestProgram
  /// The guest addresses, which are divided among the processors.
  public var ranges: [AddressRange]
  /// The distance from one word to the next, a multiple of 8. With 4 KiB, the program accesses each
  /// page once.
  public var stride: ByteCount
  /// Determines the pattern, and the order of a walk. Its lowest bit is ignored for the pattern.
  public var seed: UInt64

  /// Creates a task; the parameters are the properties.
  public init(
    _ program: GuestProgram, over ranges: [AddressRange], stride: ByteCount = .kibibytes(4),
    seed: UInt64 = 1
  ) {
    self.program = program
    self.ranges = ranges
    self.stride = stride
    self.seed = seed
  }
}
