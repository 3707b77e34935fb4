internal import Holdfast
public import HoldfastCore
public import HoldfastLinux

/// The memory that a benchmark measures, and the host that it comes from.
public struct BenchmarkMemory: Sendable {
  /// The guest's memory, which is all of the arena's.
  public var size: ByteCount
  /// Nil for the best that the host offers.
  public var backing: Backing?
  /// The NUMA nodes that the memory comes from, the kernel's own strategies' too; nil for any.
  public var nodes: HostNodes?
  /// How the guests' pages are spread over the arena's nodes.
  public var guestPolicy: DomainPolicy
  /// Threads that populate and zero memory.
  public var threads: Int
  /// What the host offers.
  public var host: HostCapabilities

  /// Creates a description; the parameters are the properties.
  public init(
    size: ByteCount, backing: Backing?, nodes: HostNodes? = nil,
    guestPolicy: DomainPolicy = .firstTouch, threads: Int, host: HostCapabilities
  ) {
    self.size = size
    self.backing = backing
    self.nodes = nodes
    self.guestPolicy = guestPolicy
    self.threads = threads
    self.host = host
  }

  /// Prepares an arena of the memory.
  ///
  /// - Throws: `HoldfastError` if the host cannot provide it.
  func makeArena() throws(HoldfastError) -> Arena {
    try Arena(size: size, backing: backing, nodes: nodes, host: host, threads: threads)
  }

  /// Creates a guest on an arena, with as many addresses as the arena has bytes unless `limit` says
  /// otherwise.
  func makeGuest(
    on arena: Arena, limit: ByteCount? = nil, for purpose: GuestPurpose? = nil
  ) throws(HoldfastError) -> GuestMemory {
    try GuestMemory(
      arena: arena, limit: limit ?? arena.size, for: purpose, hostNUMANode: guestPolicy, host: host)
  }
}

/// A step that a benchmark is about to do.
public struct BenchmarkStep: Hashable, Sendable {
  /// The run, from 1; 0 is the warm-up.
  public let run: Int
  /// What is done, as reports name it: a strategy, path or part; `arena` while memory is prepared.
  public let name: String
  /// How many steps come before it.
  public let number: Int
  /// How many steps all runs have.
  public let count: Int

  /// The name of the step that prepares the arena.
  package static let arena = "arena"
}
