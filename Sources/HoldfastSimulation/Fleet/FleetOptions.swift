package import HoldfastCore

/// What to simulate of a fleet: hosts with reservoirs, and a scheduler that places guests on them.
package struct FleetOptions: Sendable {
  /// On which of the hosts that would do a guest is placed.
  package enum Placement: String, Sendable, CaseIterable {
    /// The first one, in an order that does not change.
    case firstFit = "first-fit"
    /// The NUMA node with the least free memory, so that large guests find room elsewhere.
    case bestFit = "best-fit"
    /// The NUMA node with the most free memory.
    case spread
  }

  /// Files that a host keeps ready.
  package struct Level: Hashable, Sendable {
    /// The number of files, at least one.
    package let count: Int
    /// The size of each.
    package let size: ByteCount

    /// Creates a level; the parameters are the properties.
    package init(count: Int, size: ByteCount) {
      self.count = count
      self.size = size
    }
  }

  /// The number of hosts, at least one.
  package var hosts: Int
  /// The memory of a host.
  package var memory: ByteCount
  /// The NUMA nodes of a host, which have equal shares of its memory and of its levels. A guest
  /// lies on one node.
  package var nodes: Int
  /// Where guests are placed.
  package var placement: Placement
  /// What each host keeps ready.
  package var levels: [Level]
  /// How much memory a host makes ready in a second.
  package var fillRate: ByteCount
  /// The guests: their number, sizes, arrivals and lifetimes. The rest is not used.
  package var guests: SimulationOptions

  /// Options with the defaults of `holdfast simulate --fleet`.
  package init(hosts: Int, memory: ByteCount, guests: SimulationOptions) {
    self.hosts = hosts
    self.memory = memory
    self.guests = guests
    nodes = 2
    placement = .bestFit
    levels = []
    fillRate = .gibibytes(4)
  }
}
