internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// What a reservoir holds at one moment. The Codable form has byte counts as bare numbers.
public struct ReservoirStatus: Hashable, Sendable, Codable {
  /// Files of one size and node.
  public struct Row: Hashable, Sendable, Codable {
    public var size: ByteCount
    /// The node that the memory was bound to when it was filled, or nil. Of what is being filled it is not
    /// known.
    public var node: NodeID?
    public var ready = 0
    public var leased = 0
    public var filling = 0

    private enum CodingKeys: String, CodingKey {
      case node, ready, leased, filling
      case size = "sizeBytes"
    }
  }

  /// A lease.
  public struct LeaseEntry: Hashable, Sendable, Codable {
    public var name: String
    /// By number.
    public var user: UInt32
    public var size: ByteCount
    /// The node that the memory was bound to when it was filled, or nil.
    public var node: NodeID?
    public var path: String
    /// Whether it ends with its lock.
    public var isHeld: Bool
    /// Since it was leased.
    public var seconds: Int64

    private enum CodingKeys: String, CodingKey {
      case name, user, node, path, isHeld, seconds
      case size = "sizeBytes"
    }
  }

  /// The folder of the reservoir.
  public var path: String
  public var pageSize: ByteCount
  public var isHugetlb: Bool
  public var owner: UInt32
  public var group: UInt32?
  /// By size, largest first.
  public var rows: [Row] = []
  /// The caller's own, or root's view of all.
  public var leases: [LeaseEntry] = []
  /// Whether leases of all users and files being filled are counted: for root alone, and for the owner
  /// where nobody else may lease.
  public var isComplete: Bool
  /// Huge pages of the host's pool that are free and promised to nobody; nil on tmpfs.
  public var freePages: PageCount?
  /// Files that are not the reservoir's: path and reason.
  public var foreign: [String] = []

  private enum CodingKeys: String, CodingKey {
    case path, isHugetlb, owner, group, rows, leases, isComplete, freePages, foreign
    case pageSize = "pageBytes"
  }
}

extension Reservoir {
  /// Looks at all files, without opening any.
  ///
  /// - Complexity: O(*n*) for *n* files.
  public func status() throws(HoldfastError) -> ReservoirStatus {
    let operation = "look at the reservoir"
    let me = geteuid()
    var result = ReservoirStatus(
      path: path, pageSize: pageSize, isHugetlb: isHugetlb, owner: owner, group: group,
      isComplete: me == 0 || (me == owner && group == nil))
    if isHugetlb { result.freePages = try? HugePagePool(size: pageSize).available }
    var rows: [Key: ReservoirStatus.Row] = [:]
    func count(
      _ size: ByteCount, _ node: NodeID?, _ place: WritableKeyPath<ReservoirStatus.Row, Int>
    ) {
      rows[Key(size: size, node: node), default: .init(size: size, node: node)][keyPath: place] += 1
    }

    try each(ready, "ready", operation, &result) { name, status in
      guard let ready = ReadyName(name) else { return "no reservoir gives such names" }
      if let problem = problem(status, named: ready) { return problem }
      count(ready.size, ready.node, \.ready)
      return nil
    }
    if isOwner {
      try each(try openFilling(operation), "filling", operation, &result) { _, status in
        guard status.isRegular else { return problem(status) }
        count(status.size, nil, \.filling)
        return nil
      }
    }
    let now = Int64(time(nil))
    for (user, folder) in try leaseFolders(operation, foreign: &result.foreign) {
      var leases: [ReservoirStatus.LeaseEntry] = []
      try each(folder, "leased/\(user)", operation, &result) { name, status in
        guard let lease = LeaseFile(name) else { return "no reservoir gives such names" }
        if let problem = problem(status) { return problem }
        count(status.size, lease.node, \.leased)
        leases.append(
          .init(
            name: lease.name.text, user: user, size: status.size, node: lease.node,
            path: "\(path)/leased/\(user)/\(name)", isHeld: lease.isHeld,
            seconds: max(0, now - status.changed)))
        return nil
      }
      result.leases += leases
    }
    result.rows = rows.values.sorted {
      ($0.size, $1.node.map { Int($0.rawValue) } ?? -1)
        > ($1.size, $0.node.map { Int($0.rawValue) } ?? -1)
    }
    return result
  }

  private struct Key: Hashable {
    let size: ByteCount
    let node: NodeID?
  }

  /// Calls the body for each name in a folder, which says why the file is foreign.
  private func each(
    _ folder: Folder, _ place: String, _ operation: String, _ result: inout ReservoirStatus,
    _ body: (String, FileStatus) -> String?
  ) throws(HoldfastError) {
    let names = try during(operation, "\(path)/\(place) cannot be read") { () throws(Errno) in
      try folder.names()
    }
    for name in names {
      if let problem = Reservoir.problem(name: name) {
        result.foreign.append("\(path)/\(place)/\(name): \(problem)")
        continue
      }
      // What went meanwhile is somewhere else now.
      guard let status = try? folder.status(name) else { continue }
      if let problem = body(name, status) {
        result.foreign.append("\(path)/\(place)/\(name): \(problem)")
      }
    }
  }
}
