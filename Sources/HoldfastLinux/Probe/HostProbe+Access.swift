internal import HoldfastCore
internal import SystemPackage

/// Probing what this process may open and lock.
extension HostProbe {
  func privileges() -> HostCapabilities.Privileges {
    let status = files.text("/proc/self/status") ?? ""
    let capabilities = HostParsers.field("CapEff", in: status).flatMap(HostParsers.capabilities)
    let limits = system.memoryLockLimits()
    return HostCapabilities.Privileges(
      effectiveUser: system.effectiveUser(),
      memoryLockLimit: limits.soft,
      memoryLockHardLimit: limits.hard,
      ignoresMemoryLockLimit: (capabilities ?? 0) & 1 << 14 != 0 && !inUserNamespace)
  }

  /// Whether this process is in a user namespace other than the initial one, where its capabilities
  /// do not apply to the host's memory: its map of users is not the whole identity.
  private var inUserNamespace: Bool {
    guard let map = files.text("/proc/self/uid_map") else { return false }
    return map.split(whereSeparator: \.isWhitespace) != ["0", "0", "4294967295"]
  }

  func userFault() -> HostCapabilities.UserFault {
    var answer = HostCapabilities.UserFault(way: nil, userModeOnly: false, features: 0)
    let refusal: Errno
    switch system.userFaultFeatures(.full) {
    case .success(let features):
      answer.way = .systemCall
      answer.userModeOnly = true
      answer.features = features
      return answer
    case .failure(let error): refusal = error
    }
    let path = HostCapabilities.UserFault.Way.device.rawValue
    let device = files.path(path).map { system.userFaultFeatures(.device($0)) }
    if case .success(let features) = device {
      answer.way = .device
      answer.features = features
    }
    if case .success(let features) = system.userFaultFeatures(.userModeOnly) {
      answer.userModeOnly = true
      answer.features = answer.features | features
    }
    if answer.way == nil { explain(&answer, refusal: refusal) }
    return answer
  }

  /// Adds why userfaultfd cannot be used and what to do about it.
  private func explain(_ answer: inout HostCapabilities.UserFault, refusal: Errno) {
    let commands = Commands(user: system.effectiveUser())
    switch refusal {
    case .noFunction:
      answer.problem = "the kernel is built without userfaultfd (CONFIG_USERFAULTFD)"
    case .notPermitted where files.number("/proc/sys/vm/unprivileged_userfaultfd") == 1:
      answer.problem =
        "a seccomp filter, as containers have, forbids userfaultfd(2); allow it in the container's "
        + "profile"
    case .notPermitted, .permissionDenied:
      answer.problem =
        "vm.unprivileged_userfaultfd is 0, and this process has neither CAP_SYS_PTRACE nor access "
        + "to /dev/userfaultfd"
      answer.remedy = commands.asRoot("sysctl -w vm.unprivileged_userfaultfd=1")
    default:
      answer.problem = "userfaultfd(2) failed: \(refusal)"
    }
  }

  func kvm(vendor: String?) -> HostCapabilities.KVM {
    let path = "/dev/kvm"
    guard let device = files.path(path) else { return HostCapabilities.KVM(version: nil) }
    let commands = Commands(user: system.effectiveUser())
    switch system.kvmVersion(device) {
    case .success(12):
      // KVM_CAP_PRE_FAULT_MEMORY.
      let preFaults = try? system.kvmExtension(device, 236).get()
      return HostCapabilities.KVM(version: 12, preFaults: preFaults.map { $0 > 0 })
    case .success(let version):
      return HostCapabilities.KVM(
        version: version, problem: "/dev/kvm has API version \(version), not 12")
    case .failure(.noSuchFileOrDirectory):
      let module =
        switch vendor {
        case "AuthenticAMD", "HygonGenuine": "kvm_amd"
        case "GenuineIntel": "kvm_intel"
        default: "kvm"
        }
      return HostCapabilities.KVM(
        version: nil,
        problem:
          "/dev/kvm does not exist: the KVM module is not loaded, virtualization is off in the "
          + "firmware, or this is a virtual machine or container without it",
        remedy: commands.asRoot("modprobe \(module)"))
    case .failure(.permissionDenied), .failure(.notPermitted):
      let remedy =
        system.groupMayOpen(device)
        ? "usermod -aG kvm $USER" : "setfacl -m u:$USER:rw /dev/kvm"
      return HostCapabilities.KVM(
        version: nil, problem: "this user has no permission to open /dev/kvm",
        remedy: commands.asRoot(remedy))
    case .failure(let error):
      return HostCapabilities.KVM(version: nil, problem: "/dev/kvm cannot be opened: \(error)")
    }
  }
}
