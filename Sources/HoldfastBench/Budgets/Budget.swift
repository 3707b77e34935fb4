/// What some work may cost, and what it cost.
public struct Budget: Hashable, Sendable {
  /// What the number is.
  public enum Unit: String, Hashable, Sendable, Codable {
    /// The time over that of `against`, run by run: the median of the ratios.
    case times
    /// The speed over that of `against`, the same.
    case speed
    /// Seconds: the median.
    case seconds
    /// A share of the memory.
    case share
  }

  /// The work.
  public let work: String
  /// What it is measured against, or nil for an absolute budget.
  public let against: String?
  /// What the number is.
  public let unit: Unit
  /// The largest number within the budget; for a speed, the smallest.
  public let limit: Double
  /// The number that was measured, or nil.
  public internal(set) var measured: Double?
  /// Why it was not measured, or nil.
  public internal(set) var problem: String?

  /// Whether the number is within the budget; nil if it was not measured.
  public var isMet: Bool? { measured.map { unit == .speed ? $0 >= limit : $0 <= limit } }

  /// Whether a ratio misses its budget twofold. Absolute times say more about the machine.
  public var isFarMissed: Bool {
    guard let measured else { return false }
    return switch unit {
    case .times: measured > 2 * limit
    case .speed: measured < limit / 2
    case .share: measured > 2 * limit
    case .seconds: false
    }
  }

  init(
    _ work: String, against: String? = nil, _ unit: Unit, _ limit: Double, _ measured: Double?,
    problem: String? = nil
  ) {
    self.work = work
    self.against = against
    self.unit = unit
    self.limit = limit
    self.measured = measured
    self.problem = measured == nil ? problem ?? "not measured" : nil
  }
}

extension Budget: Encodable {
  private enum Key: String, CodingKey { case work, against, unit, limit, measured, met, problem }

  /// Writes all keys; what is missing is null.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(work, forKey: .work)
    try object.encode(against, forKey: .against)
    try object.encode(unit, forKey: .unit)
    try object.encode(limit, forKey: .limit)
    try object.encode(measured, forKey: .measured)
    try object.encode(isMet, forKey: .met)
    try object.encode(problem, forKey: .problem)
  }
}
