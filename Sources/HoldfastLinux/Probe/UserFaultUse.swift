package import HoldfastCore

/// What Holdfast does with userfaultfd(2). The probe, the advice, the checks before the work and
/// the system calls all take from here what each use needs.
package enum UserFaultUse: Hashable, Sendable, CaseIterable {
  /// Installing pages of shared memory that no guest can access yet.
  case installingShared
  /// The same on hugetlb.
  case installingHugePages
  /// Demand paging and forks: a handler serves the faults of a guest.
  case paging
  /// Faults that fail, for virtual processors that serve their own.
  case failing

  /// The features that the kernel must report.
  package var features: [UserFaultFeature] {
    switch self {
    case .installingShared: [.minorOnShared]
    case .installingHugePages: [.minorOnHugePages]
    // UFFDIO_CONTINUE_MODE_WP, without which a page could be written to before it is protected, has
    // no bit. A kernel with the last feature has it.
    case .paging:
      [
        .faultFlagOfProtection, .eventRemap, .missingOnHugePages, .missingOnShared, .threadID,
        .minorOnHugePages, .minorOnShared, .protectionOnShared, .protectionOfAbsent,
      ]
    case .failing:
      [.missingOnHugePages, .missingOnShared, .signal, .minorOnHugePages, .minorOnShared]
    }
  }

  /// The bits of the features, as UFFDIO_API takes them.
  package var mask: UInt64 { features.reduce(0) { $0 | $1.mask } }

  /// The first Linux that has all of the features.
  package var kernel: String {
    switch self {
    case .installingShared, .failing: "5.14"
    case .installingHugePages: "5.13"
    case .paging: "6.4"
    }
  }
}

extension HostCapabilities.UserFault {
  /// The features of a use that the kernel lacks.
  package func missing(for use: UserFaultUse) -> [UserFaultFeature] {
    use.features.filter { features & $0.mask == 0 }
  }

  /// Whether there is a way and the kernel has all features of the use.
  package func allows(_ use: UserFaultUse) -> Bool { way != nil && missing(for: use).isEmpty }

  /// Why a use is not possible, or nil if it is.
  package func problem(of use: UserFaultUse) -> String? {
    guard way != nil else { return problem ?? "this process may not use userfaultfd(2)" }
    let missing = missing(for: use).map(\.name)
    if missing.isEmpty { return nil }
    return "the kernel's userfaultfd lacks " + missing.joined(separator: ", ")
  }

  /// Why a use is not possible, as an error, or nil if it is.
  ///
  /// - Parameter alternative: what to do where nothing permits userfaultfd(2).
  package func error(
    of use: UserFaultUse, _ operation: String, otherwise alternative: String
  ) -> HoldfastError? {
    guard let reason = problem(of: use) else { return nil }
    let advice: Advice =
      if way != nil {
        .upgradeKernel(use.kernel)
      } else if remedy != nil {
        .set(path: Self.setting, value: "1")
      } else {
        .other("permit userfaultfd(2), or \(alternative)")
      }
    return HoldfastError(.unsupported, operation: operation, reason: reason, advice: advice)
  }

  /// The setting that permits every process faults of the kernel too. It exists if the kernel has
  /// userfaultfd(2).
  static let setting = "/proc/sys/vm/unprivileged_userfaultfd"
}
