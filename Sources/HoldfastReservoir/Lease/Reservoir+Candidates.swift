internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// Which ready files a lease tries.
extension Reservoir {
  /// Tries the files of exactly the requested size, in the order in which the kernel returns their
  /// names. It reads no names after the one that it takes, so its time does not depend on the
  /// number of files where the first one will do.
  ///
  /// - Parameter tried: receives the names.
  func takeExact(
    _ search: inout LeaseSearch, _ tried: inout Set<String>
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    let request = search.request
    let size = request.size.shortDescription
    let prefixes = (request.node.map { ["@\($0.rawValue)-"] } ?? ["-", "@"]).map {
      Array((size + $0).utf8)
    }
    let reader = try during(search.operation, "cannot read \(path)/ready") { () throws(Errno) in
      try FolderReader(ready, atMost: Self.mostRead)
    }
    while tried.count < Self.mostNames,
      let text = reader.next(1, where: { name in prefixes.contains { name.begins(with: $0) } })
        .first
    {
      guard let name = ReadyName(text), name.size == request.size,
        request.node == nil || name.node == request.node
      else { continue }
      tried.insert(text)
      if let found = try take(name, &search) { return found }
    }
    return nil
  }

  /// The names of all ready files on the requested node, sorted by size. Where there are too many,
  /// the search notes that.
  func readyCandidates(
    _ search: inout LeaseSearch
  ) throws(HoldfastError) -> [ReadyName] {
    let node = search.request.node
    let (texts, isCutShort) = try during(search.operation, "cannot read \(path)/ready") {
      () throws(Errno) in
      let reader = try FolderReader(ready, atMost: Self.mostRead)
      let names = reader.next(Self.mostNames, where: ReadyName.resembles)
      return (names, reader.isCutShort || names.count == Self.mostNames)
    }
    if isCutShort {
      search.notes.append("\(path)/ready has so many names that some were not read")
    }
    return texts.compactMap { ReadyName($0) }.filter { node == nil || $0.node == node }.sorted()
  }
}
