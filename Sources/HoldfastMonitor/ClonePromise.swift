package import HoldfastCore
internal import HoldfastLinux
package import HoldfastTemplate

/// The memory that clones are promised for the pages that they write to.
///
/// On hugetlbfs the kernel itself reserves it when the monitor maps the template privately, and
/// from then on no write of the guest can lack a page. Here it is only checked before the monitor
/// starts, so that a shortage is one line that says what is needed and what is free. Elsewhere the
/// kernel promises nothing: what is checked is what is available, less what running clones were
/// promised and have not used yet.
package enum ClonePromise {
  /// Refuses clones for which the memory is short.
  ///
  /// - Parameters:
  ///   - count: the number of clones.
  ///   - promise: the bytes for each.
  /// - Throws: ``HoldfastError`` with the code `resourceShortage`.
  package static func check(
    _ template: Template, in store: TemplateStore, count: Int, promise: ByteCount
  ) throws(HoldfastError) {
    let operation =
      count == 1
      ? "start a clone of '\(template.name)'" : "start \(count) clones of '\(template.name)'"
    let size = ByteCount(promise.rawValue.saturatingProduct(UInt64(count)))
    let host = HostProbe().host()
    let what = "\(size) is needed for the pages that they write to"
    if store.isHugetlb {
      guard let pool = host.hugePages.first(where: { $0.size == store.pageSize }) else { return }
      if let limit = pool.cgroup, limit.remaining < size {
        throw HoldfastError(
          .resourceShortage, operation: operation, reason: "\(what), but \(limit.words)",
          advice: limit.advice)
      }
      let mount = store.mountRoom()
      if let free = mount.free, free < size {
        throw HoldfastError(
          .resourceShortage, operation: operation,
          reason: "\(what), but the size limit of the file system at \(store.mount) leaves "
            + HostReport.rounded(free),
          advice: .raiseLimit("the mount option size= of \(store.mount)"))
      }
      // What the pool reserves for the mount is for it alone.
      let needed = size - min(size, mount.reserved)
      let pages = (needed.rawValue + store.pageSize.rawValue - 1) / store.pageSize.rawValue
      guard pool.obtainable.rawValue < pages else { return }
      let total = (try? HugePagePool(size: store.pageSize).counts())?.total?.rawValue ?? 0
      throw HoldfastError(
        .resourceShortage, operation: operation,
        reason: "\(pages) huge pages of \(store.pageSize) are needed for the pages that "
          + "\(count == 1 ? "it writes" : "they write") to, but \(pool.obtainableWords)",
        advice: .reserveHugePages([
          Advice.HugePageGoal(
            pageSize: store.pageSize, node: nil, path: HugePagePool(size: store.pageSize).path,
            count: total + (pages - pool.obtainable.rawValue))
        ]))
    }
    if let limit = host.memoryLimit(refusing: size) {
      throw HoldfastError(
        .resourceShortage, operation: operation, reason: "\(what), but \(limit.words)",
        advice: limit.advice)
    }
    let promised = outstanding(in: store)
    guard let available = host.roomForGuests else { return }
    let free = available - min(available, promised)
    guard free < size else { return }
    throw HoldfastError(
      .resourceShortage, operation: operation,
      reason: "\(what), but the host has \(HostReport.rounded(available)) available"
        + (promised == .zero ? "" : ", of which \(promised) is promised to other clones"),
      advice: .other("fewer clones, or --promise with less"))
  }

  /// What running clones were promised and have not used yet.
  private static func outstanding(in store: TemplateStore) -> ByteCount {
    var sum = ByteCount.zero
    for name in (try? store.names()) ?? [] {
      guard let template = try? store.template(name) else { continue }
      for clone in template.clones() {
        let used = CloneBooks.bytes(of: clone, template)?.own ?? .zero
        let rest = clone.promise - min(clone.promise, used)
        sum = sum + rest
      }
    }
    return sum
  }
}
