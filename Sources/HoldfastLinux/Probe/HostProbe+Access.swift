internal import HoldfastCore
internal import SystemPackage

/// Probing what this process may open and lock.
extension HostProbe {
  func privileges() -> HostCapabilities.Privileges {
    let limits = system.memoryLockLimits()
    return HostCapabilities.Privileges(
      effectiveUser: system.effectiveUser(),
      memoryLockLimit: limits.soft,
      memoryLockHardLimit: limits.hard,
      ignoresMemoryLockLimit: isCapable(14))
  }

  /// Whether this process has a capability that applies to the host: that of the initial user
  /// namespace.
  private func isCapable(_ number: UInt64) -> Bool {
    let status = files.text("/proc/self/status") ?? ""
    // The file is that of a test's host, if there is one; a jail may have none.
    let capabilities =
      HostParsers.field("CapEff", in: status).flatMap(HostParsers.capabilities)
      ?? system.capabilities()
    return (capabilities ?? 0) & 1 << number != 0 && !inUserNamespace
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
    let userMode = system.userFaultFeatures(.userModeOnly)
    if case .success(let features) = userMode {
      answer.userModeOnly = true
      answer.features = answer.features | features
    }
    guard answer.way == nil else { return answer }
    let problem = UserFaultProblem(
      refusal: refusal, userModeRefusal: userMode.error, deviceRefusal: device?.error,
      setting: files.number(HostCapabilities.UserFault.setting), isPrivileged: isCapable(19),
      hasNoFilter: HostParsers.field("Seccomp", in: files.text("/proc/self/status") ?? "") == "0")
    answer.problem = problem.text
    if problem.isPermission {
      answer.remedy = Commands(user: system.effectiveUser()).asRoot(
        "sysctl -w vm.unprivileged_userfaultfd=1")
    }
    return answer
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
    case .failure(.notPermitted):
      // Permissions of files are refused by EACCES.
      return HostCapabilities.KVM(
        version: nil,
        problem: "the container's devices (its cgroup), or a filter of system calls, exclude "
          + "/dev/kvm")
    case .failure(.permissionDenied):
      let remedy =
        system.groupMayOpen(device)
        ? "usermod -aG kvm $USER" : "setfacl -m u:$USER:rw /dev/kvm"
      return HostCapabilities.KVM(
        version: nil, problem: "this user has no permission to open /dev/kvm",
        remedy: commands.asRoot(remedy))
    case .failure(let error):
      return HostCapabilities.KVM(version: nil, problem: "/dev/kvm cannot be used: \(error)")
    }
  }
}

extension Result {
  fileprivate var error: Failure? {
    if case .failure(let error) = self { return error }
    return nil
  }
}
