internal import CHoldfastLinux
internal import Glibc
package import HoldfastCore
package import SystemPackage

/// The system calls that probing makes, so that tests can replace the kernel.
package struct HostSystem: Sendable {
  /// A way to obtain a userfaultfd.
  package enum UserFaultCall: Hashable, Sendable {
    /// userfaultfd(2), for faults of the kernel too.
    case full
    /// userfaultfd(2) with UFFD_USER_MODE_ONLY.
    case userModeOnly
    /// USERFAULTFD_IOC_NEW on a device.
    case device(String)
  }

  /// The size of a base page: sysconf(_SC_PAGESIZE).
  package var pageSize: @Sendable () -> ByteCount
  /// The processors that this process may run on, in ascending order: sched_getaffinity(2).
  package var usableProcessors: @Sendable () -> [UInt32]?
  /// The memory, with what is free and not page cache as available: sysinfo(2).
  package var memory: @Sendable () -> HostCapabilities.Memory? = { nil }
  /// geteuid(2).
  package var effectiveUser: @Sendable () -> UInt32
  /// The effective capabilities: capget(2).
  package var capabilities: @Sendable () -> UInt64? = { nil }
  /// RLIMIT_MEMLOCK, soft and hard; nil: no limit.
  package var memoryLockLimits: @Sendable () -> (soft: ByteCount?, hard: ByteCount?)
  /// The features that UFFDIO_API reports.
  package var userFaultFeatures: @Sendable (UserFaultCall) -> Result<UInt64, Errno>
  /// KVM_GET_API_VERSION on the device.
  package var kvmVersion: @Sendable (String) -> Result<Int, Errno>
  /// KVM_CHECK_EXTENSION of a capability on the device.
  package var kvmExtension: @Sendable (String, Int32) -> Result<Int, Errno>
  /// Whether a group other than root's may read and write the file.
  package var groupMayOpen: @Sendable (String) -> Bool
  /// PR_GET_THP_DISABLE.
  package var hugePageDisable: @Sendable () -> Result<Int, Errno> = { .success(0) }

  /// The running kernel's answers.
  package static let live = HostSystem(
    pageSize: { ByteCount(UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))) },
    usableProcessors: { Affinity.current?.processors },
    memory: {
      var memory = hf_host_memory()
      // SAFETY: `memory` is a whole hf_host_memory and lives through the call.
      guard unsafe hf_probe_memory(&memory) == 0 else { return nil }
      return HostCapabilities.Memory(
        total: ByteCount(memory.total), free: ByteCount(memory.free),
        available: ByteCount(memory.free.saturatingSum(memory.buffers)))
    },
    effectiveUser: { geteuid() },
    capabilities: {
      var capabilities: UInt64 = 0
      // SAFETY: `capabilities` lives through the call.
      return unsafe hf_probe_capabilities(&capabilities) == 0 ? capabilities : nil
    },
    memoryLockLimits: {
      var limit = rlimit()
      // SAFETY: `limit` is a whole rlimit and lives through the call.
      guard unsafe getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 else {
        return (.zero, .zero)
      }
      func bytes(_ value: rlim_t) -> ByteCount? {
        value == rlim_t.max ? nil : ByteCount(UInt64(value))
      }
      return (bytes(limit.rlim_cur), bytes(limit.rlim_max))
    },
    userFaultFeatures: { call in
      var features: UInt64 = 0
      // SAFETY: `features` and the path's bytes live through the calls, which keep neither.
      let result =
        switch call {
        case .full: unsafe hf_probe_userfault(0, &features)
        case .userModeOnly: unsafe hf_probe_userfault(1, &features)
        case .device(let path):
          unsafe hf_probe_userfault_device(path, &features)
        }
      return result < 0 ? .failure(Errno(rawValue: -result)) : .success(features)
    },
    kvmVersion: { path in
      // SAFETY: the path's bytes live through the call, which does not keep them.
      let result = unsafe hf_probe_kvm(path)
      return result < 0 ? .failure(Errno(rawValue: -result)) : .success(Int(result))
    },
    kvmExtension: { path, capability in
      // SAFETY: as above.
      let result = unsafe hf_probe_kvm_extension(path, capability)
      return result < 0 ? .failure(Errno(rawValue: -result)) : .success(Int(result))
    },
    groupMayOpen: { path in
      var status = stat()
      // SAFETY: `status` and the path's bytes live through the call.
      let result = unsafe stat(path, &status)
      return result == 0 && status.st_gid != 0 && status.st_mode & 0o060 == 0o060
    },
    hugePageDisable: {
      let result = hf_probe_thp_disable()
      return result < 0 ? .failure(Errno(rawValue: -result)) : .success(Int(result))
    })
}
