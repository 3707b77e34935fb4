public import HoldfastCore

/// The memory that a fill makes ready.
public struct FillPlan: Hashable, Sendable {
  /// A number of files of one size.
  public struct Part: Hashable, Sendable, Codable {
    /// The number of files, at least one.
    public var count: Int
    /// The size of each file, a multiple of the reservoir's page size.
    public var size: ByteCount

    /// Creates a part; the parameters are the properties.
    public init(count: Int, size: ByteCount) {
      self.count = count
      self.size = size
    }

    private enum CodingKeys: String, CodingKey {
      case count
      case size = "sizeBytes"
    }
  }

  /// The parts, in the order in which they are filled.
  public var parts: [Part]
  /// The NUMA node that the memory comes from, or nil for any. With a node, only ready files of
  /// that node count.
  public var node: NodeID?
  /// Whether the parts are added to the ready files. Otherwise they are a level to reach: ready
  /// files count, and repeating a fill that was interrupted continues it.
  public var isAddition: Bool

  /// Creates a plan; the parameters are the properties.
  public init(_ parts: [Part], node: NodeID? = nil, isAddition: Bool = false) {
    self.parts = parts
    self.node = node
    self.isAddition = isAddition
  }
}

extension FillPlan.Part: CustomStringConvertible {
  /// The part as people type it: `4x10G`.
  public var description: String { "\(count)x\(size.shortDescription)" }

  /// Reads a part as people type it: `4x10G`, or `10G` for one file.
  package init(typed text: String) throws(Size.Problem) {
    let parts = text.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
    var count = 1
    if parts.count == 2 {
      guard let number = UInt32(digits: parts[0]), (1...65536).contains(number) else {
        throw Size.Problem(
          description: "'\(parts[0])' is not a count from 1 to 65536; "
            + "write a count and a size, such as 4x10G")
      }
      count = Int(number)
    }
    self.init(count: count, size: try Size(String(parts[parts.count - 1])).bytes)
  }
}
