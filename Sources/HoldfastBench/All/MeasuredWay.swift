public import HoldfastCore

/// A way to do some work with memory, and what its runs took.
public struct MeasuredWay: Sendable {
  /// The ways that are compared with each other.
  public enum Group: String, Hashable, Sendable, CaseIterable {
    /// From a request to wired memory of the whole size.
    case wire
    /// The same for smaller sizes.
    case size
    /// The same with other numbers of threads.
    case threads
    /// A fork of a guest or a process whose memory is resident.
    case fork
    /// An access to an absent page.
    case fault
    /// QEMU, from its start to its end.
    case qemu
    /// A guest in QEMU, from the command to its answer.
    case boot
    /// The start of the program, and a lease.
    case program
  }

  /// What does the work.
  public enum Kind: String, Hashable, Sendable {
    /// Holdfast.
    case holdfast
    /// The kernel, as a monitor without Holdfast would ask it.
    case kernel
    /// The least that the kernel takes for the same work.
    case floor
    /// Another program.
    case program
  }

  /// What it is compared with.
  public let group: Group
  /// The way's name within its group and memory, for programs.
  public let way: String
  /// The way in words.
  public let name: String
  /// What does the work.
  public let kind: Kind
  /// The backing of the memory, or nil where that does not matter.
  public internal(set) var backing: String?
  /// The size of the memory, or nil where that does not matter.
  public internal(set) var memory: ByteCount?
  /// The number of threads that do the work.
  public let threads: Int
  /// The seconds of each counted run.
  public internal(set) var seconds: [Double] = []
  /// For each of them the number of the entry in the report's `conditions`.
  public internal(set) var conditions: [Int] = []
  /// The `way` of the floor in the same group, on the same memory, or nil.
  public internal(set) var floor: String?
  /// Why the way was not measured, or nil.
  public internal(set) var problem: String?

  init(
    _ group: Group, _ way: String, _ name: String, _ kind: Kind, backing: String? = nil,
    memory: ByteCount? = nil, threads: Int = 1, floor: String? = nil
  ) {
    self.group = group
    self.way = way
    self.name = name
    self.kind = kind
    self.backing = backing
    self.memory = memory
    self.threads = threads
    self.floor = floor
  }

  /// The middle value, or the upper one of the two in the middle; nil without values.
  public var median: Double? { HoldfastBench.median(seconds) }

  /// The median for each 2 MiB of the memory; nil where memory does not matter.
  public var secondsPerSuperpage: Double? {
    guard let median, let memory, memory > .zero else { return nil }
    return median / (Double(memory.rawValue) / Double(1 << 21))
  }

  mutating func fail(_ reason: String) {
    seconds = []
    conditions = []
    problem = reason
  }
}

extension MeasuredWay: Encodable {
  private enum Key: String, CodingKey {
    case group, way, name, kind, backing, memoryBytes, threads, seconds, conditions, median
    case smallest, largest, secondsPerSuperpage, floor, problem
  }

  /// Writes all keys; what is missing is null.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(group.rawValue, forKey: .group)
    try object.encode(way, forKey: .way)
    try object.encode(name, forKey: .name)
    try object.encode(kind.rawValue, forKey: .kind)
    try object.encode(backing, forKey: .backing)
    try object.encode(memory?.rawValue, forKey: .memoryBytes)
    try object.encode(threads, forKey: .threads)
    try object.encode(seconds, forKey: .seconds)
    try object.encode(conditions, forKey: .conditions)
    try object.encode(median, forKey: .median)
    try object.encode(seconds.min(), forKey: .smallest)
    try object.encode(seconds.max(), forKey: .largest)
    try object.encode(secondsPerSuperpage, forKey: .secondsPerSuperpage)
    try object.encode(floor, forKey: .floor)
    try object.encode(problem, forKey: .problem)
  }
}
