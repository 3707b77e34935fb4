internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

extension Reservoir {
  /// Counts the files by size, node and state, without opening any. A file that is leased meanwhile
  /// counts once.
  ///
  /// - Throws: ``HoldfastError`` with the code `notPermitted`, `untrusted` or `host`, where a
  ///   folder cannot be read.
  /// - Complexity: O(*n*) for *n* files.
  public func status() throws(HoldfastError) -> ReservoirStatus {
    let operation = "read the status of the reservoir"
    let caller = geteuid()
    var result = ReservoirStatus(
      path: path, pageSize: pageSize, isHugetlb: isHugetlb, owner: owner, group: group,
      isComplete: caller == 0 || group == nil)
    if isHugetlb { result.freePages = try? HugePagePool(size: pageSize).available }
    var rows: [Key: ReservoirStatus.Row] = [:]
    func count(
      _ size: ByteCount, _ node: NodeID?, _ place: WritableKeyPath<ReservoirStatus.Row, Int>
    ) {
      rows[Key(size: size, node: node), default: .init(size: size, node: node)][keyPath: place] += 1
    }

    // The folders are read one after the other. A file that is leased meanwhile was ready before.
    var counted: [FileStatus.Identity: Key] = [:]
    let names = try allReadyNames(operation, beyond: &result.foreign)
    each(names, in: ready, "ready", &result) { name, status in
      guard let ready = ReadyName(name) else { return Reservoir.foreignName }
      if let problem = problem(status, named: ready) { return problem }
      count(ready.size, ready.node, \.ready)
      counted[status.identity] = Key(size: ready.size, node: ready.node)
      return nil
    }
    let filling = try openFilling(operation)
    let unfinished = try self.names(in: filling, "filling", operation, beyond: &result.foreign)
    each(unfinished, in: filling, "filling", &result) { _, status in
      guard status.isRegular else { return problem(status) }
      count(status.size, nil, \.filling)
      return nil
    }
    let now = HostClock.now
    // The bound is on the leases of all users together.
    var left = Self.mostNames
    for user in try leaseUsers(operation, foreign: &result.foreign) {
      var (foreign, failed): ([String], [String]) = ([], [])
      let found = leaseNames(
        of: user, operation, atMost: left, foreign: &foreign, failed: &failed)
      result.foreign += foreign + failed
      guard let (folder, names) = found else { continue }
      left -= names.count
      var leases: [ReservoirStatus.LeaseEntry] = []
      each(names, in: folder, "leased/\(user)", &result) { name, status in
        guard let lease = LeaseFile(name) else { return Reservoir.foreignName }
        if let problem = problem(status, leasedBy: user) { return problem }
        if let key = counted.removeValue(forKey: status.identity) { rows[key]?.ready -= 1 }
        count(status.size, lease.node, \.leased)
        leases.append(
          .init(
            name: lease.name.text, user: user, size: status.size, node: lease.node,
            path: "\(path)/leased/\(user)/\(name)", isHeld: lease.isHeld,
            // No lease is older than the boot.
            seconds: LeaseAge.seconds(status, at: now) ?? now.boot))
        return nil
      }
      result.leases += leases
    }
    result.rows = rows.values.filter { $0.ready + $0.leased + $0.filling > 0 }.sorted {
      ($0.size, $1.node.map { Int($0.rawValue) } ?? -1)
        > ($1.size, $0.node.map { Int($0.rawValue) } ?? -1)
    }
    return result
  }

  private struct Key: Hashable {
    let size: ByteCount
    let node: NodeID?
  }

  /// Calls the body for each of the names in a folder; the body returns why the file is foreign.
  private func each(
    _ names: [String], in folder: Folder, _ place: String, _ result: inout ReservoirStatus,
    _ body: (String, FileStatus) -> String?
  ) {
    for name in names {
      if let problem = Reservoir.problem(name: name) {
        result.foreign.append("\(path)/\(place)/\(name): \(problem)")
        continue
      }
      // A file that was moved concurrently is counted elsewhere, if at all.
      guard let status = try? folder.status(name) else { continue }
      if let problem = body(name, status) {
        result.foreign.append("\(path)/\(place)/\(name): \(problem)")
      }
    }
  }
}
