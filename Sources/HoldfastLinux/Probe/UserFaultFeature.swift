/// A feature of userfaultfd(2), a bit of UFFDIO_API.
package enum UserFaultFeature: UInt64, Hashable, Sendable, CaseIterable {
  case faultFlagOfProtection = 0
  case eventRemap = 2
  case missingOnHugePages = 4
  case missingOnShared = 5
  case signal = 7
  case threadID = 8
  case minorOnHugePages = 9
  case minorOnShared = 10
  case protectionOnShared = 12
  case protectionOfAbsent = 13

  /// The name in linux/userfaultfd.h.
  package var name: String {
    let ending =
      switch self {
      case .faultFlagOfProtection: "PAGEFAULT_FLAG_WP"
      case .eventRemap: "EVENT_REMAP"
      case .missingOnHugePages: "MISSING_HUGETLBFS"
      case .missingOnShared: "MISSING_SHMEM"
      case .signal: "SIGBUS"
      case .threadID: "THREAD_ID"
      case .minorOnHugePages: "MINOR_HUGETLBFS"
      case .minorOnShared: "MINOR_SHMEM"
      case .protectionOnShared: "WP_HUGETLBFS_SHMEM"
      case .protectionOfAbsent: "WP_UNPOPULATED"
      }
    return "UFFD_FEATURE_" + ending
  }

  /// The bit.
  package var mask: UInt64 { 1 << rawValue }
}
