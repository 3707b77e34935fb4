/// The distances between nodes, and the node that the calling thread runs on (Linux:
/// `/sys/devices/system/node/node*/distance`).
public struct NodeTopology: Sendable {
  /// The distance from one node to another. One that is missing counts as `remote`.
  let distances: [NodeID: [NodeID: Int]]
  /// The node of the calling thread's processor, or nil where it is not known. Each allocation by
  /// first touch calls it where the allocator has several domains.
  let local: @Sendable () -> NodeID?

  /// The distance of a node to itself, as firmware counts it (ACPI: SLIT).
  static let near = 10
  /// The usual distance to another node.
  static let remote = 20

  /// A topology.
  ///
  /// - Parameters:
  ///   - distances: from one node to another, as ACPI's SLIT has them: 10 to itself. A missing one
  ///     is 20.
  ///   - local: returns the node of the calling thread's processor. Called without locks of the
  ///     allocator, from any thread.
  public init(
    distances: [NodeID: [NodeID: Int]] = [:], local: @escaping @Sendable () -> NodeID? = { nil }
  ) {
    self.distances = distances
    self.local = local
  }

  /// The distance between two nodes; the largest where the other one is not known.
  func distance(from node: NodeID, to other: NodeID?) -> Int {
    guard let other else { return .max }
    return distances[node]?[other] ?? (node == other ? Self.near : Self.remote)
  }
}
