public import HoldfastCore

/// How much memory is to be ready, in which sizes.
public struct FillPlan: Hashable, Sendable {
  /// So many files of a size.
  public struct Part: Hashable, Sendable {
    public var count: Int
    public var size: ByteCount

    public init(count: Int, size: ByteCount) {
      self.count = count
      self.size = size
    }
  }

  /// In the order in which they are filled.
  public var parts: [Part]
  /// The node that the memory is to be of, or nil for any.
  public var node: NodeID?
  /// Whether the parts come on top of what is ready. Otherwise they are a level: what is ready counts, and
  /// a fill that was cut short goes on when it is asked for again.
  public var isAddition: Bool

  public init(_ parts: [Part], node: NodeID? = nil, isAddition: Bool = false) {
    self.parts = parts
    self.node = node
    self.isAddition = isAddition
  }
}

extension FillPlan.Part {
  /// Reads files of a size as people type them: `4x10G`, or `10G` for one.
  package init(typed text: String) throws(Size.Problem) {
    let parts = text.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
    var count = 1
    if parts.count == 2 {
      guard let number = UInt32(parts[0]), parts[0].allSatisfy(\.isWholeNumber),
        (1...65536).contains(number)
      else {
        throw Size.Problem(
          description: "a plan is a count from 1 to 65536 and a size, such as 4x10G")
      }
      count = Int(number)
    }
    self.init(count: count, size: try Size(String(parts[parts.count - 1])).bytes)
  }
}

/// How to fill.
public struct FillOptions: Hashable, Sendable {
  /// Threads that bring memory in, or nil for one for each processor that may be used.
  public var threads: Int?
  /// Raise the host's pool by the huge pages that are missing, file by file. Needs root. They stay in the
  /// pool; those of a file that could not be filled are given back.
  public var reservesHugePages = false
  /// Take away first what dead fillers left. Whoever fills again and again does that by itself, now and then:
  /// to look whether a file is locked has it scrubbed once more where it is being recycled.
  package var removesLeftovers = true

  public init(threads: Int? = nil, reservesHugePages: Bool = false) {
    self.threads = threads
    self.reservesHugePages = reservesHugePages
  }
}

/// How far a fill is; both are zero while it waits for another one.
public struct FillProgress: Hashable, Sendable {
  /// Bytes brought in by this fill, and those that it has to bring in.
  public var done: ByteCount
  public var total: ByteCount
}

/// What a fill has done.
public struct FillReport: Hashable, Sendable {
  /// Files made ready, by size, in the order of the plan.
  public var made: [FillPlan.Part] = []
  /// Files that were ready before and count towards the plan.
  public var found = 0
  /// Left-overs of fills and recycles that were cut short, taken away.
  public var removed = 0
  /// Huge pages that the host's pool was raised by.
  public var reserved: PageCount = .zero

  /// The bytes made ready.
  public var bytes: ByteCount {
    made.reduce(.zero) { $0 + ByteCount(UInt64($1.count) * $1.size.rawValue) }
  }
}
