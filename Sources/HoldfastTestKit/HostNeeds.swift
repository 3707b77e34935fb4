internal import Glibc
package import HoldfastCore
internal import HoldfastLinux

/// What tests need of the host, for `.enabled(if:)`.
///
/// With CI=true in the environment a test must not skip for want of what this machine could have had:
/// where root may set the kernel's file and there is memory enough, the test runs, and fails if
/// nobody has set it. A container with a read-only /sys cannot, and skips there too.
package enum HostNeeds {
  /// Whether the environment says that nothing may be skipped that this machine could have.
  package static let isStrict =
    unsafe getenv("CI").map { unsafe String(cString: $0) == "true" } ?? false

  package static var isRoot: Bool { geteuid() == 0 }

  /// Huge pages of 2 MiB for `size` are free, or ought to be.
  package static func hugePages(_ size: ByteCount) -> Bool {
    let host = HostProbe().host()
    let pool = host.hugePages.first { $0.size == .mebibytes(2) }
    if (pool?.availableBytes ?? .zero) >= size { return true }
    return isStrict && isRoot && isWritable(poolPath) && hasMemory(size, on: host)
  }

  /// Root may raise the pool of 2 MiB pages, and there is memory for a few hundred of them.
  package static var canReserve: Bool {
    isRoot && isWritable(poolPath) && hasMemory(.mebibytes(512), on: HostProbe().host())
  }

  /// Virtual machines can be made, or ought to be: where the device is there CI=true skips nothing.
  package static let kvm: Bool = {
    if HostProbe().host().kvm.isUsable { return true }
    // SAFETY: the path's bytes live through the call.
    return unsafe isStrict && access("/dev/kvm", F_OK) == 0
  }()

  package static let kvmComment = "needs a usable /dev/kvm: see holdfast host"

  /// QEMU is there, or ought to be: root could have installed it.
  package static let qemu: Bool = {
    let isThere = ["/usr/bin", "/usr/local/bin"].contains {
      // SAFETY: the path's bytes live through the call.
      unsafe access($0 + "/qemu-system-x86_64", X_OK) == 0
    }
    return isThere || isStrict && isRoot && isIntel
  }()

  package static let qemuComment = "needs qemu-system-x86_64"

  private static var isIntel: Bool {
    #if arch(x86_64)
      true
    #else
      false
    #endif
  }

  /// Root may run a program as nobody.
  package static var canChangeUser: Bool {
    // SAFETY: the texts' bytes live through the calls.
    unsafe isRoot && getpwnam("nobody") != nil
      && (access("/sbin/runuser", X_OK) == 0 || access("/usr/sbin/runuser", X_OK) == 0)
  }

  /// Shared memory may have transparent huge pages, or ought to.
  package static var sharedHugePages: Bool {
    let host = HostProbe().host()
    if host.transparentHugePages.sharedMemory?.givesHugePages == true { return true }
    return isStrict && isRoot && isWritable(sharedModePath)
      && hasMemory(.mebibytes(512), on: host)
  }

  /// Whether faults of this process's memory can be trapped, the kernel's own among them, as KVM's are.
  package static let userFault: Bool = {
    if isStrict && isRoot { return true }
    guard let arena = try? Arena(size: .mebibytes(2), backing: .base, threads: 1) else {
      return false
    }
    return (try? PagedWindow(arena: arena, length: .mebibytes(2), host: HostProbe().host())) != nil
  }()

  /// Whether the kernel tells this process the numbers of its frames. It takes CAP_SYS_ADMIN, which
  /// root in a container seldom has; others read zeros.
  package static let seesFrames: Bool = {
    // SAFETY: the path's bytes live through the call.
    let file = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    var entry: UInt64 = .max
    // SAFETY: `entry` lives through the call and has room for what is read. Its own page is the one
    // asked about: it has been written to, so it is there.
    let count = unsafe withUnsafeMutablePointer(to: &entry) { place in
      unsafe pread(file, place, 8, off_t(UInt(bitPattern: place) / page * 8))
    }
    // Bit 63: the page is present. Bits 0 to 54: its frame.
    return count == 8 && entry >> 63 == 1 && entry << 9 != 0
  }()

  private static let poolPath = HugePagePool(size: .mebibytes(2)).path
  private static let sharedModePath = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

  /// Whether a file may be written to, which on a read-only file system not even root may.
  private static func isWritable(_ path: String) -> Bool {
    // SAFETY: the path's bytes live through the call.
    unsafe access(path, W_OK) == 0
  }

  /// Whether `size` can be taken without the host running short.
  private static func hasMemory(_ size: ByteCount, on host: HostCapabilities) -> Bool {
    (host.memory.available ?? .zero) >= size + .mebibytes(256)
  }

  package static let userFaultComment =
    "needs userfaultfd with the kernel's faults: root, or access to /dev/userfaultfd"
  /// Why a test without huge pages was skipped, for its comment.
  package static let hugePagesComment = "needs free huge pages: echo 200 > \(poolPath)"
  package static let sharedHugePagesComment = "needs: echo advise > \(sharedModePath)"
}
