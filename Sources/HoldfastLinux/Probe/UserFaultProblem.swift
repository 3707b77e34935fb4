internal import SystemPackage

/// Why userfaultfd(2) cannot be used with the kernel's faults, from what each way answered.
///
/// The kernel itself refuses only a process without CAP_SYS_PTRACE, and never with
/// UFFD_USER_MODE_ONLY. All other refusals are those of a filter or a security module, which no
/// setting of the kernel changes.
struct UserFaultProblem {
  /// The answer to the system call, for all faults.
  let refusal: Errno
  /// The answer with UFFD_USER_MODE_ONLY, or nil if that is allowed.
  let userModeRefusal: Errno?
  /// The answer of /dev/userfaultfd.
  let deviceRefusal: Errno?
  /// `vm.unprivileged_userfaultfd`, which exists if the kernel has userfaultfd(2); nil without it,
  /// or without /proc/sys.
  let setting: UInt64?
  /// Whether the process has CAP_SYS_PTRACE.
  let isPrivileged: Bool
  /// Whether the kernel says that no filter of system calls is installed.
  let hasNoFilter: Bool

  /// Whether the system call exists.
  private var isBuilt: Bool {
    setting != nil || refusal != .noFunction || userModeRefusal != .noFunction
      || deviceRefusal.map { $0 != .noSuchFileOrDirectory } ?? false
  }

  /// Whether the process lacks the permission that the kernel asks for.
  var isPermission: Bool {
    isBuilt && isRefusal && userModeRefusal == nil && setting != 1 && !isPrivileged
  }

  private var isRefusal: Bool {
    [.notPermitted, .permissionDenied, .noFunction].contains(refusal)
  }

  /// The problem in words.
  var text: String {
    if !isBuilt {
      return hasNoFilter
        ? "the kernel is built without userfaultfd (CONFIG_USERFAULTFD)"
        : "the kernel is built without userfaultfd (CONFIG_USERFAULTFD), or a seccomp filter hides it"
    }
    if !isRefusal { return "userfaultfd(2) failed: \(refusal)" }
    if isPermission {
      return "vm.unprivileged_userfaultfd is 0, and this process has neither CAP_SYS_PTRACE nor "
        + "access to /dev/userfaultfd"
    }
    return hasNoFilter
      ? "a security module (SELinux, AppArmor) forbids userfaultfd(2); allow it in its policy"
      : "a seccomp filter, as containers have, forbids userfaultfd(2); allow it in the container's "
        + "profile, or give the container /dev/userfaultfd"
  }
}
