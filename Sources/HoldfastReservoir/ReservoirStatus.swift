public import HoldfastCore

/// The contents of a reservoir at one moment.
///
/// The Codable form has sizes in bytes as plain numbers.
public struct ReservoirStatus: Hashable, Sendable, Codable {
  /// The numbers of files of one size and node.
  public struct Row: Hashable, Sendable, Codable {
    /// The size of each of these files.
    public var size: ByteCount
    /// The NUMA node that the memory was bound to when it was filled, or nil; always nil for files
    /// that are being filled.
    public var node: NodeID?
    /// The number of files that are ready.
    public var ready = 0
    /// The number of files that are leased.
    public var leased = 0
    /// The number of files that are being filled, extended or scrubbed.
    public var filling = 0

    /// A row with these numbers of files.
    package init(
      size: ByteCount, node: NodeID? = nil, ready: Int = 0, leased: Int = 0, filling: Int = 0
    ) {
      self.size = size
      self.node = node
      self.ready = ready
      self.leased = leased
      self.filling = filling
    }

    private enum CodingKeys: String, CodingKey {
      case node, ready, leased, filling
      case size = "sizeBytes"
    }
  }

  /// A lease.
  public struct LeaseEntry: Hashable, Sendable, Codable {
    /// The lease's name.
    public var name: String
    /// The ID of the user who has the lease.
    public var user: UInt32
    /// The size of the memory.
    public var size: ByteCount
    /// The NUMA node that the memory was bound to when it was filled, or nil.
    public var node: NodeID?
    /// The path of the file.
    public var path: String
    /// Whether the lease ends with its lock.
    public var isHeld: Bool
    /// The lease's age in seconds.
    public var seconds: Int64

    private enum CodingKeys: String, CodingKey {
      case name, user, node, path, isHeld, seconds
      case size = "sizeBytes"
    }
  }

  /// The reservoir's folder, `<mount>/holdfast`.
  public var path: String
  /// The size of the pages that the memory consists of.
  public var pageSize: ByteCount
  /// Whether the memory consists of huge pages on hugetlbfs.
  public var isHugetlb: Bool
  /// The ID of the reservoir's owner.
  public var owner: UInt32
  /// The ID of the group whose members may lease, or nil.
  public var group: UInt32?
  /// The files by size and node, the largest size first.
  public var rows: [Row] = []
  /// The calling user's leases, or for root all leases.
  public var leases: [LeaseEntry] = []
  /// Whether the rows count the leases of all users and the files being filled. That is so for
  /// root, and for the owner where no other user may lease.
  public var isComplete: Bool
  /// The huge pages in the host's pool that are free and not reserved by a mapping; nil on tmpfs.
  public var freePages: PageCount?
  /// Files that are not the reservoir's, each as path and reason.
  public var foreign: [String] = []

  private enum CodingKeys: String, CodingKey {
    case path, isHugetlb, owner, group, rows, leases, isComplete, freePages, foreign
    case pageSize = "pageBytes"
  }
}

extension ReservoirStatus: CustomStringConvertible {
  /// The status for people: a table of sizes, and what else there is to report.
  public var description: String { text(showingLeases: false) }

  /// The status for people.
  ///
  /// - Parameter showsLeases: whether a second table lists the leases.
  public func text(showingLeases showsLeases: Bool) -> String {
    var table = [["Size", "Ready", "Leased", "Filling", "Page", "Node"]]
    for row in rows {
      table.append([
        row.size.shortDescription, "\(row.ready)", "\(row.leased)", "\(row.filling)",
        pageSize.shortDescription, row.node.map { "\($0)" } ?? "-",
      ])
    }
    var lines = columns(table)
    if rows.isEmpty { lines.append("no memory is ready, leased or being filled") }
    if showsLeases, !leases.isEmpty {
      var table = [["Lease", "Size", "Node", "User", "Kind", "Age (s)", "Path"]]
      for lease in leases {
        table.append([
          lease.name, lease.size.shortDescription, lease.node.map { "\($0)" } ?? "-",
          "\(lease.user)", lease.isHeld ? "run" : "lease", "\(lease.seconds)", lease.path,
        ])
      }
      lines += [""] + columns(table)
    }
    if let freePages {
      lines += ["", "\(freePages.rawValue) huge pages of \(pageSize) are free in the pool"]
    }
    if !isComplete { lines.append("leases of other users are not counted") }
    lines += foreign.map { "foreign file: \($0.printable)" }
    return lines.joined(separator: "\n")
  }

  /// The rows with padded cells: numbers to the right, the first and the last column to the left.
  private func columns(_ table: [[String]]) -> [String] {
    let widths = table[0].indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    return table.map { row in
      row.enumerated().map { column, cell in
        if column == row.count - 1 { return cell }
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }.joined(separator: "  ")
    }
  }
}
