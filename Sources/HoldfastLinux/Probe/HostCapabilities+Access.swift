public import HoldfastCore

extension HostCapabilities {
  /// Whether userfaultfd(2) may be used in full, with faults that the kernel takes on the
  /// process's behalf (a system call or KVM touching guest memory), and what it can do.
  public struct UserFault: Hashable, Sendable, Codable {
    /// How to come by a descriptor that sees the kernel's faults too.
    public enum Way: String, Hashable, Sendable, Codable {
      /// The system call, with CAP_SYS_PTRACE or `vm.unprivileged_userfaultfd=1`.
      case systemCall = "userfaultfd(2)"
      /// The device, with access to it.
      case device = "/dev/userfaultfd"
    }

    /// The way, or nil where there is none.
    public var way: Way?
    /// Whether at least UFFD_USER_MODE_ONLY is to be had; that is too little for a guest.
    public var userModeOnly: Bool
    /// The feature bits of UFFDIO_API; zero where it could not be asked.
    public var features: UInt64
    /// Why it cannot be used in full, or nil where it can.
    public var problem: String?
    /// The command that mends it, or nil.
    public var remedy: String?

    /// Minor faults on shared memory (UFFD_FEATURE_MINOR_SHMEM, Linux 5.14).
    public var minorOnShared: Bool { features & 1 << 10 != 0 }
    /// Minor faults on hugetlb (UFFD_FEATURE_MINOR_HUGETLBFS, Linux 5.13).
    public var minorOnHugePages: Bool { features & 1 << 9 != 0 }
    /// Write protection of shared memory and hugetlb (UFFD_FEATURE_WP_HUGETLBFS_SHMEM, 5.19).
    public var writeProtectionOnShared: Bool { features & 1 << 12 != 0 }

    /// The features that demand paging and forks need and that this kernel lacks, by their names in
    /// linux/userfaultfd.h. Linux 6.4 has all of them.
    package var missingFeatures: [String] {
      Self.neededFeatures.filter { features & 1 << $0.bit == 0 }.map { "UFFD_FEATURE_" + $0.name }
    }

    /// What `hf_userfault_open_paging` asks for.
    private static let neededFeatures: [(bit: UInt64, name: String)] = [
      (0, "PAGEFAULT_FLAG_WP"), (2, "EVENT_REMAP"), (4, "MISSING_HUGETLBFS"),
      (5, "MISSING_SHMEM"), (8, "THREAD_ID"), (9, "MINOR_HUGETLBFS"), (10, "MINOR_SHMEM"),
      (12, "WP_HUGETLBFS_SHMEM"), (13, "WP_UNPOPULATED"),
    ]

    /// Whether it can be used in full and has all that demand paging and forks need (Linux 6.4).
    public var isComplete: Bool { way != nil && missingFeatures.isEmpty }
  }

  /// Who this process is and what it may lock.
  public struct Privileges: Hashable, Sendable, Codable {
    /// The effective user, geteuid(2); 0 is root.
    public var effectiveUser: UInt32
    /// The soft limit RLIMIT_MEMLOCK, or nil for none.
    public var memoryLockLimit: ByteCount?
    /// The hard limit, up to which the process may raise the soft one, or nil for none.
    public var memoryLockHardLimit: ByteCount?
    /// Whether CAP_IPC_LOCK is effective and counts: in a user namespace it does not.
    public var ignoresMemoryLockLimit: Bool

    /// Whether this many bytes could be locked.
    public func mayLock(_ bytes: ByteCount) -> Bool {
      ignoresMemoryLockLimit || memoryLockLimit.map { bytes <= $0 } ?? true
    }
  }

  /// The kernel's virtual machine device, /dev/kvm.
  public struct KVM: Hashable, Sendable, Codable {
    /// KVM_GET_API_VERSION, or nil where the device cannot be opened; usable versions are 12.
    public var version: Int?
    /// Whether guest memory can be mapped ahead of its touching (KVM_CAP_PRE_FAULT_MEMORY, Linux
    /// 6.11), or nil where that could not be asked.
    public var preFaults: Bool?
    /// Why it cannot be used, or nil where it can.
    public var problem: String?
    /// The command that mends it, or nil.
    public var remedy: String?

    /// Whether virtual machines can be made.
    public var isUsable: Bool { version == 12 }
  }
}
