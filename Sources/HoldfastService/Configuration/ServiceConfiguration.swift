public import HoldfastCore
public import HoldfastReservoir

/// The configuration of the reservoir's service.
public struct ServiceConfiguration: Hashable, Sendable {
  /// A number of files of one size that the service keeps ready.
  public struct Level: Hashable, Sendable {
    /// The number of files.
    public var count: Int
    /// The size of each file.
    public var size: ByteCount
    /// The NUMA node that the memory comes from, or nil for any; then files of all nodes count.
    public var node: NodeID?

    /// Creates a level; the parameters are the properties.
    public init(count: Int, size: ByteCount, node: NodeID? = nil) {
      self.count = count
      self.size = size
      self.node = node
    }
  }

  /// The priority of the threads that fill and scrub.
  public enum Priority: String, Hashable, Sendable, CaseIterable {
    /// The scheduling policy SCHED_IDLE: the threads run on processors that are otherwise idle.
    case idle
    /// The nice value 19, with 1/68 of the weight of the nice value 0.
    case low
    /// The priority with which the service was started.
    case normal
  }

  /// A TCP port on the loopback interface.
  public struct Listener: Hashable, Sendable, CustomStringConvertible {
    /// Whether the address is `::1`. Otherwise it is `127.0.0.1`.
    public var isVersion6: Bool
    /// The port; 0 for any free one.
    public var port: UInt16

    /// The address and the port: `127.0.0.1:9816`.
    public var description: String { (isVersion6 ? "[::1]" : "127.0.0.1") + ":\(port)" }
  }

  /// Where other users lease.
  public struct Sockets: Hashable, Sendable {
    /// The path of the socket; nil for `socket` in the reservoir's folder.
    public var path: String?
    /// The ID of the group whose members may connect; nil for the reservoir's.
    public var group: UInt32?
    /// The permissions of the socket; nil for 0660, or without a group 0600.
    public var permissions: UInt32?
  }

  /// What each user other than the reservoir's owner and root may have at a time.
  public struct Limits: Hashable, Sendable {
    /// The bytes of all leases of a user; nil for no limit.
    public var bytes: ByteCount?
    /// The number of leases of a user; nil for no limit.
    public var files: Int?
    /// The number of requests of a user that are being served, which includes those that wait for
    /// memory. Also for the owner and root.
    public var requests = 8
  }

  /// The mount point of the reservoir; nil for the host's only one.
  public var mount: String?
  /// The levels, in the order in which they are filled.
  public var levels: [Level] = []
  /// The interval at which the service checks the levels.
  public var interval = Duration.seconds(5)
  /// The priority of the threads that fill and scrub.
  public var priority = Priority.low

  /// The number of threads that populate memory; nil for one for each available processor.
  public var fillThreads: Int?
  /// The largest number of bytes that fills populate each second; nil for no limit.
  public var rate: ByteCount?
  /// Whether fills raise the host's pool by the missing huge pages.
  public var reservesHugePages = false

  /// The interval at which the service collects orphans.
  public var collectInterval = Duration.seconds(60)
  /// How the service collects. What it releases, it replaces when it fills the levels.
  public var collecting = CollectOptions(reuse: .release)

  /// Where other users lease.
  public var sockets = Sockets()
  /// What each of them may have at a time.
  public var limits = Limits()

  /// The port on which metrics are served over HTTP; nil for none.
  public var listener: Listener?
  /// The path of the file that metrics are written to, for node_exporter; nil for none.
  public var textfile: String?
  /// The interval at which that file is written.
  public var textfileInterval = Duration.seconds(15)

  /// Creates a configuration with the defaults and without levels.
  public init() {}

  /// Why a running service cannot change to another configuration, or nil.
  func obstacle(to next: ServiceConfiguration) -> String? {
    var changed: [String] = []
    if next.mount != mount { changed.append("mount") }
    if next.priority != priority { changed.append("priority") }
    if next.listener != listener { changed.append("listen") }
    if next.sockets != sockets { changed.append("[socket]") }
    return changed.isEmpty
      ? nil : "\(changed.joined(separator: ", ")) cannot change while the service runs; restart it"
  }
}
