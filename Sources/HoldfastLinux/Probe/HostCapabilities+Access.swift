public import HoldfastCore

extension HostCapabilities {
  /// Whether this process may use userfaultfd(2) with faults that the kernel takes for it (in a
  /// system call, or in KVM for a guest), and the features of it.
  public struct UserFault: Hashable, Sendable, Codable {
    /// A way to obtain a descriptor that sees the kernel's faults too.
    public enum Way: String, Hashable, Sendable, Codable {
      /// The system call, with CAP_SYS_PTRACE or `vm.unprivileged_userfaultfd=1`.
      case systemCall = "userfaultfd(2)"
      /// The device, with permission to open it (Linux 6.1).
      case device = "/dev/userfaultfd"
    }

    /// The way that works, or nil.
    public var way: Way?
    /// Whether at least UFFD_USER_MODE_ONLY works, which is not enough for a guest.
    public var userModeOnly: Bool
    /// The feature bits that UFFDIO_API reports; 0 if it could not be asked.
    public var features: UInt64
    /// Why there is no way, or nil if there is one.
    public var problem: String?
    /// The shell command that solves the problem, or nil.
    public var remedy: String?

    /// Whether it traps minor faults on shared memory (UFFD_FEATURE_MINOR_SHMEM, Linux 5.14).
    public var minorOnShared: Bool { has(.minorOnShared) }
    /// Whether it traps minor faults on hugetlb (UFFD_FEATURE_MINOR_HUGETLBFS, Linux 5.13).
    public var minorOnHugePages: Bool { has(.minorOnHugePages) }
    /// Whether it can write-protect shared memory and hugetlb (UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
    /// Linux 5.19).
    public var writeProtectionOnShared: Bool { has(.protectionOnShared) }

    /// Whether there is a way and the kernel has all features that demand paging and forks need
    /// (Linux 6.4).
    public var isComplete: Bool { allows(.paging) }

    private func has(_ feature: UserFaultFeature) -> Bool { features & feature.mask != 0 }
  }

  /// The user of this process and its limit on locked memory.
  public struct Privileges: Hashable, Sendable, Codable {
    /// The effective user, geteuid(2); 0 is root.
    public var effectiveUser: UInt32
    /// The soft limit of RLIMIT_MEMLOCK, or nil for no limit.
    public var memoryLockLimit: ByteCount?
    /// The hard limit, up to which the process may raise the soft one, or nil for no limit.
    public var memoryLockHardLimit: ByteCount?
    /// Whether CAP_IPC_LOCK exempts the process from the limit; in a user namespace it does not.
    public var ignoresMemoryLockLimit: Bool

    /// Whether the process may lock this many bytes, if it has locked none.
    public func mayLock(_ bytes: ByteCount) -> Bool {
      ignoresMemoryLockLimit || memoryLockLimit.map { bytes <= $0 } ?? true
    }
  }

  /// The device for virtual machines, /dev/kvm.
  public struct KVM: Hashable, Sendable, Codable {
    /// KVM_GET_API_VERSION, which is 12 on all usable hosts, or nil if the device cannot be opened.
    public var version: Int?
    /// Whether guest memory can be mapped before it is accessed (KVM_CAP_PRE_FAULT_MEMORY, Linux
    /// 6.11), or nil if that could not be asked.
    public var preFaults: Bool?
    /// Why it cannot be used, or nil if it can.
    public var problem: String?
    /// The shell command that solves the problem, or nil.
    public var remedy: String?

    /// Whether this process can create virtual machines.
    public var isUsable: Bool { version == 12 }
  }
}
