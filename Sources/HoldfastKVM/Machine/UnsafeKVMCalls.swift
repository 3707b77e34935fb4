internal import CHoldfastKVM
internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// The KVM requests that create a machine, with errors that name the request.
enum KVMCalls {
  /// Throws the error of a C function of this project that returned a negative errno.
  static func check(
    _ status: Int32, _ operation: String, _ request: String, advice: Advice? = nil
  ) throws(HoldfastError) {
    guard status < 0 else { return }
    throw HoldfastError(
      errno: Errno(rawValue: -status), operation: operation, request: request, advice: advice)
  }

  /// Opens the device and checks its version. The corresponding request is `KVM_GET_API_VERSION`.
  static func open(_ path: String, operation: String) throws(HoldfastError) -> Int32 {
    // SAFETY: the path's bytes live through the call, which does not keep them.
    let device = unsafe hf_kvm_open(path)
    guard device >= 0 else {
      let found = path == "/dev/kvm" ? HostProbe().host().kvm : nil
      throw HoldfastError(
        .unsupported, operation: operation, reason: found?.problem ?? "\(path) cannot be opened",
        errno: -device, advice: found?.remedy.map(Advice.other))
    }
    let version = hf_kvm_api_version(device)
    guard version == 12 else {
      _ = hf_kvm_close(device)
      throw HoldfastError(
        .unsupported, operation: operation,
        reason: version < 0
          ? "\(path) is not KVM: KVM_GET_API_VERSION failed"
          : "the API version of \(path) is \(version), not 12",
        errno: version < 0 ? -version : nil)
    }
    return device
  }

  /// Returns what the kernel can do for this machine. The corresponding request is
  /// `KVM_CHECK_EXTENSION`.
  static func capabilities(
    of machine: Int32, operation: String
  ) throws(HoldfastError) -> VirtualMachine.Capabilities {
    func value(_ capability: some BinaryInteger) -> Int {
      max(0, Int(hf_kvm_extension(machine, Int32(capability))))
    }
    let needed = [
      ("KVM_CAP_USER_MEMORY", HF_CAP_USER_MEMORY),
      ("KVM_CAP_IMMEDIATE_EXIT", HF_CAP_IMMEDIATE_EXIT),
    ]
    for (name, capability) in needed where value(capability) == 0 {
      throw HoldfastError(
        .unsupported, operation: operation, reason: "this kernel lacks \(name)",
        advice: .upgradeKernel("5.14"))
    }
    let processors = value(HF_CAP_MAX_VCPUS)
    return VirtualMachine.Capabilities(
      slots: max(32, value(HF_CAP_NR_MEMSLOTS)),
      processors: processors > 0 ? processors : 4,
      hasReadOnlySlots: value(HF_CAP_READONLY_MEM) > 0,
      reportsFaultAddresses: value(HF_CAP_MEMORY_FAULT_INFO) > 0,
      hidesInterfaces: value(HF_CAP_ENFORCE_PV_FEATURE_CPUID) > 0,
      preFaults: value(HF_CAP_PRE_FAULT_MEMORY) > 0)
  }

  /// Sets aside four pages below 4 GiB, which KVM needs on Intel's processors. The corresponding
  /// requests are `KVM_SET_TSS_ADDR` and `KVM_SET_IDENTITY_MAP_ADDR`.
  static func setUp(_ machine: Int32, operation: String) throws(HoldfastError) {
    if hf_kvm_extension(machine, Int32(HF_CAP_SET_TSS_ADDR)) > 0 {
      let status = hf_kvm_set_tss(machine, VirtualMachine.reserved.end.rawValue - 0x3000)
      try check(status, operation, "KVM_SET_TSS_ADDR")
    }
    if hf_kvm_extension(machine, Int32(HF_CAP_SET_IDENTITY_MAP_ADDR)) > 0 {
      let status = hf_kvm_set_identity_map(machine, VirtualMachine.reserved.end.rawValue - 0x4000)
      try check(status, operation, "KVM_SET_IDENTITY_MAP_ADDR")
    }
  }
}
