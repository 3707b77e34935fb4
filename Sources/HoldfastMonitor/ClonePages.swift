internal import Glibc
package import HoldfastCore
package import HoldfastLinux
package import HoldfastTemplate
internal import Synchronization
package import SystemPackage

/// The pages of a template that a clone in another process touches: which they are, and bringing
/// them in before it does.
///
/// The kernel tells of a page that a process has it, and whether it is its own copy, but not when
/// it was touched. So a clone is looked at again and again after its start, at longer and longer
/// intervals, and what is new each time follows what was known.
package struct ClonePages: Sendable {
  private let template: Template
  private let mappings: [ProcessMapping]
  private let process: HostProcess

  package init(_ template: Template, _ mappings: [ProcessMapping], _ process: HostProcess) {
    self.template = template
    self.mappings = mappings
    self.process = process
  }

  /// The intervals between two looks, in milliseconds: the first ones tell an order, and together
  /// they are the first ten seconds of a clone.
  private static let intervals = [10, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120]

  /// Gives the clone its copies of the pages that earlier clones wrote to, in their order, by all
  /// processors. The guest must be stopped.
  ///
  /// A page that cannot be copied, for lack of memory perhaps, is left to the guest.
  ///
  /// - Returns: the number of pages.
  /// - Complexity: O(bytes), at the speed at which the kernel copies.
  package func bringInWritten() -> Int { bringIn(written: true) }

  /// Maps the pages that earlier clones have read, in their order, and reads them from the disk where
  /// the template is on one and the page cache lacks them. The guest may run.
  package func bringInRead() { _ = bringIn(written: false) }

  private func bringIn(written: Bool) -> Int {
    guard let set = template.workingSet(), set.pageSize == template.pageSize else { return 0 }
    let addresses = set.pages.compactMap {
      $0.isWritten == written ? address(of: $0.number) : nil
    }
    let done = Atomic<Int>(0)
    // Not more than processors, since they copy; but some more wait for a disk at once.
    let threads = written ? max(1, min(8, HostProbe().host().parallelism)) : 4
    // Pieces of some pages, so that threads rarely take one.
    let size = 16
    Workers.perform((addresses.count + size - 1) / size, threads: threads) { piece in
      for address in addresses[(piece * size)...].prefix(size) {
        do throws(Errno) {
          try process.touch(address, isWritten: written)
          done.wrappingAdd(1, ordering: .relaxed)
        } catch {
          return false
        }
      }
      return true
    }
    return done.load(ordering: .relaxed)
  }

  private func address(of page: UInt32) -> UInt64? {
    let offset = UInt64(page) * template.pageSize.rawValue
    for mapping in mappings where offset >= mapping.offset && mapping.isWritable {
      let distance = offset - mapping.offset
      if distance < UInt64(mapping.range.count) { return mapping.range.lowerBound + distance }
    }
    return nil
  }

  /// Watches the clone from its start, and keeps the pages that it touched with the template. Takes
  /// ten seconds.
  ///
  /// - Parameter isEnded: asked at each look whether to stop, as when the clone has ended.
  package func record(until isEnded: () -> Bool) {
    var order: [UInt32] = []
    var written: Set<UInt32> = []
    var known: Set<UInt32> = []
    for interval in Self.intervals {
      for _ in 0..<(interval / 10) {
        if isEnded() { break }
        usleep(10_000)
      }
      guard !isEnded(), process.exists, let pages = try? pages() else { break }
      for page in pages where page.number < UInt64(UInt32.max) {
        let number = UInt32(page.number)
        if known.insert(number).inserted { order.append(number) }
        if page.isOwn { written.insert(number) }
      }
    }
    if order.isEmpty { return }
    try? template.save(
      WorkingSet(
        pageSize: template.pageSize,
        pages: order.map { WorkingSet.Page($0, isWritten: written.contains($0)) }))
  }

  /// The pages that the clone has now.
  private func pages() throws(Errno) -> [ProcessMapping.Page] {
    var found: [ProcessMapping.Page] = []
    for mapping in mappings {
      try mapping.forEachPage(of: process, pageSize: template.pageSize) { found.append($0) }
    }
    return found
  }

  /// The bytes that the clone has: its own, and those that it shares with the template.
  ///
  /// - Throws: `permissionDenied` where this process may not look into the monitor.
  /// - Complexity: O(pages).
  package func bytes() throws(Errno) -> (own: ByteCount, shared: ByteCount) {
    var (own, shared): (UInt64, UInt64) = (0, 0)
    for page in try pages() {
      if page.isOwn { own += 1 } else { shared += 1 }
    }
    let size = template.pageSize.rawValue
    return (ByteCount(own * size), ByteCount(shared * size))
  }
}
