public import HoldfastCore
public import HoldfastReservoir

/// What the service keeps, and how.
public struct ServiceConfiguration: Hashable, Sendable {
  /// So many files of a size that are to be ready.
  public struct Level: Hashable, Sendable {
    public var count: Int
    public var size: ByteCount
    /// The node that the memory is to be of, or nil for any; then files of all nodes count.
    public var node: NodeID?

    public init(count: Int, size: ByteCount, node: NodeID? = nil) {
      self.count = count
      self.size = size
      self.node = node
    }
  }

  /// How much of the processors the service may have beside others.
  public enum Priority: String, Hashable, Sendable, CaseIterable {
    /// SCHED_IDLE: it runs where a processor would have nothing to do.
    case idle
    /// Nice 19, a sixty-eighth of the weight of others.
    case low
    /// As whoever started it.
    case normal
  }

  /// A port of this host alone.
  public struct Listener: Hashable, Sendable, CustomStringConvertible {
    /// `::1`, else `127.0.0.1`.
    public var isVersion6: Bool
    /// 0 for one that is free.
    public var port: UInt16

    public var description: String { (isVersion6 ? "[::1]" : "127.0.0.1") + ":\(port)" }
  }

  /// The mount with the reservoir; nil for the only one.
  public var mount: String?
  /// In the order in which they are filled.
  public var levels: [Level] = []
  /// How often the levels are looked at.
  public var interval = Duration.seconds(5)
  public var priority = Priority.low

  /// Threads that fill; nil for one for each processor that may be used.
  public var fillThreads: Int?
  /// Bytes a second that fills take at most; nil for no limit.
  public var rate: ByteCount?
  public var reservesHugePages = false

  /// How often orphans are collected.
  public var collectInterval = Duration.seconds(60)
  public var collecting = CollectOptions()

  /// Where metrics are served over HTTP; nil for nowhere.
  public var listener: Listener?
  /// The file that metrics are written to, for node_exporter; nil for none.
  public var textfile: String?
  public var textfileInterval = Duration.seconds(15)

  public init() {}

  /// Why a running service cannot go on with another configuration, or nil.
  func obstacle(to next: ServiceConfiguration) -> String? {
    var changed: [String] = []
    if next.mount != mount { changed.append("mount") }
    if next.priority != priority { changed.append("priority") }
    if next.listener != listener { changed.append("listen") }
    return changed.isEmpty
      ? nil : "\(changed.joined(separator: ", ")) cannot change while the service runs; restart it"
  }
}
