internal import Glibc
package import HoldfastCore
internal import HoldfastLinux

/// The requirements of tests on the host, for `.enabled(if:)`.
///
/// With CI=true in the environment, a test does not skip because of a setting that root could have
/// made: where the kernel's file is writable and enough memory is available, the test runs, and
/// fails if the setting is missing. In a container with a read-only /sys it skips.
package enum HostNeeds {
  /// Whether the environment has CI=true.
  package static let isStrict =
    unsafe getenv("CI").map { unsafe String(cString: $0) == "true" } ?? false

  /// Whether the tests run as root.
  package static var isRoot: Bool { geteuid() == 0 }

  /// Whether huge pages of 2 MiB for `size` are free, or must be.
  package static func hugePages(_ size: ByteCount) -> Bool {
    let host = HostProbe().host()
    let pool = host.hugePages.first { $0.size == .mebibytes(2) }
    if (pool?.availableBytes ?? .zero) >= size { return true }
    return isStrict && isRoot && isWritable(poolPath) && hasMemory(size, on: host)
  }

  /// Whether root may enlarge the pool of 2 MiB pages, and memory for a few hundred is available.
  package static var canReserve: Bool {
    isRoot && isWritable(poolPath) && hasMemory(.mebibytes(512), on: HostProbe().host())
  }

  /// Whether KVM is usable, or must be: with CI=true, wherever the device exists.
  package static let kvm: Bool = {
    if HostProbe().host().kvm.isUsable { return true }
    // SAFETY: the path's bytes live through the call.
    return unsafe isStrict && access("/dev/kvm", F_OK) == 0
  }()

  /// Why a test without KVM was skipped.
  package static let kvmComment = "needs a usable /dev/kvm: see holdfast host"

  /// Whether the file system of a folder opens files with O_DIRECT, which Swift does not import.
  package static func canBypassCache(in folder: String) -> Bool {
    #if arch(x86_64)
      let direct: Int32 = 0o40000
    #else
      let direct: Int32 = 0o200000
    #endif
    let path = folder + "/probe-\(getpid())"
    // SAFETY: the path's bytes live through the calls.
    let file = unsafe open(path, O_CREAT | O_RDWR | O_CLOEXEC | direct, 0o600)
    // Some file systems make the file before they refuse.
    _ = unsafe unlink(path)
    return file >= 0 && close(file) == 0
  }

  /// Whether QEMU is installed, or must be: root could have installed it.
  package static let qemu: Bool = {
    let isThere = ["/usr/bin", "/usr/local/bin"].contains {
      // SAFETY: the path's bytes live through the call.
      unsafe access($0 + "/qemu-system-x86_64", X_OK) == 0
    }
    return isThere || isStrict && isRoot && isIntel
  }()

  /// Why a test without QEMU was skipped.
  package static let qemuComment = "needs qemu-system-x86_64"

  private static var isIntel: Bool {
    #if arch(x86_64)
      true
    #else
      false
    #endif
  }

  /// Whether root may run a program as the user nobody.
  package static var canChangeUser: Bool {
    // SAFETY: the texts' bytes live through the calls.
    unsafe isRoot && getpwnam("nobody") != nil
      && (access("/sbin/runuser", X_OK) == 0 || access("/usr/sbin/runuser", X_OK) == 0)
  }

  /// Whether python3 is installed, or must be: root could have installed it.
  package static let python: Bool = {
    // SAFETY: the path's bytes live through the call.
    let isThere = unsafe access("/usr/bin/python3", X_OK) == 0
    return isThere || isStrict && isRoot
  }()

  /// Whether every user may use io_uring, or must.
  package static let ring: Bool = {
    // SAFETY: the path's bytes live through the call.
    let file = unsafe open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC)
    // Kernels before 6.6 have no such setting.
    guard file >= 0 else { return true }
    defer { close(file) }
    var digit: UInt8 = 0
    // SAFETY: `digit` lives through the call and has room for the byte.
    return unsafe read(file, &digit, 1) == 1 && digit == UInt8(ascii: "0") || isStrict && isRoot
  }()

  /// Why a test without io_uring was skipped.
  package static let ringComment = "needs io_uring: echo 0 > /proc/sys/kernel/io_uring_disabled"

  /// Whether shared memory gets transparent huge pages, or must.
  package static var sharedHugePages: Bool {
    let host = HostProbe().host()
    if host.transparentHugePages.givesShared { return true }
    return isStrict && isRoot && isWritable(sharedModePath)
      && hasMemory(.mebibytes(512), on: host)
  }

  /// Whether userfaultfd can serve faults of this process's memory, also the kernel's own, as KVM's
  /// are.
  package static let userFault: Bool = {
    if isStrict && isRoot { return true }
    guard let arena = try? Arena(size: .mebibytes(2), backing: .base, threads: 1) else {
      return false
    }
    return (try? PagedWindow(arena: arena, length: .mebibytes(2), host: HostProbe().host())) != nil
  }()

  /// Whether this process may read the numbers of its frames. That requires CAP_SYS_ADMIN, which
  /// root in a container seldom has; other processes read zeros.
  package static let seesFrames: Bool = {
    // SAFETY: the path's bytes live through the call.
    let file = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    var entry: UInt64 = .max
    // SAFETY: `entry` lives through the call and has room for the 8 bytes. The entry read is that
    // of its own page, which is resident because it was written to.
    let count = unsafe withUnsafeMutablePointer(to: &entry) { place in
      unsafe pread(file, place, 8, off_t(UInt(bitPattern: place) / page * 8))
    }
    // Bit 63: the page is present. Bits 0 to 54: its frame.
    return count == 8 && entry >> 63 == 1 && entry << 9 != 0
  }()

  private static let poolPath = HugePagePool(size: .mebibytes(2)).path
  private static let sharedModePath = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

  /// Whether a file is writable, which on a read-only file system it is not even for root.
  private static func isWritable(_ path: String) -> Bool {
    // SAFETY: the path's bytes live through the call.
    unsafe access(path, W_OK) == 0
  }

  /// Whether `size` can be allocated without a shortage on the host.
  private static func hasMemory(_ size: ByteCount, on host: HostCapabilities) -> Bool {
    (host.memory.available ?? .zero) >= size + .mebibytes(256)
  }

  /// Why a test without userfaultfd was skipped.
  package static let userFaultComment =
    "needs userfaultfd with the kernel's faults: root, or access to /dev/userfaultfd"
  /// Why a test without huge pages was skipped.
  package static let hugePagesComment = "needs free huge pages: echo 200 > \(poolPath)"
  /// Why a test without huge pages in shared memory was skipped.
  package static let sharedHugePagesComment = "needs: echo advise > \(sharedModePath)"
}
