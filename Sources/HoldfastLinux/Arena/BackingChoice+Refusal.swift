internal import HoldfastCore
internal import SystemPackage

/// The errors for memory that the kernel refuses although the probe found enough.
extension BackingChoice {
  /// The error for a system call that failed although the probe found enough memory.
  func shortage(_ operation: String, _ error: Errno, _ host: HostCapabilities) -> HoldfastError {
    if error == .invalidArgument {
      return HoldfastError(
        .host, operation: operation, reason: "the kernel lacks MADV_POPULATE_WRITE",
        errno: error.rawValue, advice: .upgradeKernel("5.14"))
    }
    if let refusal = error.refusal(of: "madvise(2), mmap(2) or ftruncate(2)", operation) {
      return refusal
    }
    if error == .fileTooLarge {
      return HoldfastError(
        .host, operation: operation, reason: ResourceLimits.fileSizeWords, errno: error.rawValue,
        advice: ResourceLimits.fileSizeAdvice)
    }
    guard error == .noMemory || error == .noSpace else {
      return HoldfastError(
        .host, operation: operation, reason: "the kernel refuses to create or map the memory",
        errno: error.rawValue)
    }
    // Probe again: the first probe found enough.
    let now = HostProbe().host()
    let pool = backing.hugePageSize.flatMap { page in
      now.confined(to: nodes).hugePages.first { $0.size == page }
    }
    let found =
      pool.flatMap { shortage(of: $0, size.rawValue / $0.size.rawValue, operation, now, error) }
      ?? (backing.hugePageSize == nil ? shortage(operation, now, error) : nil)
    return found ?? hiddenLimit(operation, error, pool, now)
  }

  /// The error for memory that the kernel refuses although the probe finds enough.
  private func hiddenLimit(
    _ operation: String, _ error: Errno, _ pool: HostCapabilities.HugePages?,
    _ host: HostCapabilities
  ) -> HoldfastError {
    if let words = ResourceLimits.addressWords(for: size) {
      return HoldfastError(
        .host, operation: operation, reason: words, errno: error.rawValue,
        advice: ResourceLimits.addressAdvice)
    }
    let page = backing.hugePageSize ?? backing.mappedPageSize
    let kind = backing.hugePageSize == nil ? "" : "hugetlb "
    let there =
      pool?.obtainableWords ?? "\(host.availableForGuests.rawValue >> 20) MiB are available"
    // The files of a container's cgroup may not be mounted in it.
    return HoldfastError(
      .host, operation: operation,
      reason: "\(BackingChoice.pages(size.rawValue / page.rawValue, of: page, kind)) needed, and "
        + "the kernel refuses them although \(there)" + location(host)
        + ": a limit applies that is not visible here, such as that of a container's cgroup",
      errno: error.rawValue,
      advice: pool == nil
        ? .raiseLimit("that of the memory cgroup or cpuset")
        : .raiseLimit("that of the hugetlb cgroup or cpuset"))
  }
}
