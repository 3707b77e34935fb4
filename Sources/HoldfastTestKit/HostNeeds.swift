internal import Glibc
public import HoldfastCore
internal import HoldfastLinux

/// What tests need of the host, for `.enabled(if:)`. With CI=true in the environment, root and
/// enough memory, a test runs whatever the host lacks, so that it fails rather than skips there.
public enum HostNeeds {
  /// Whether the environment says that nothing may be skipped.
  public static let isStrict =
    unsafe getenv("CI").map { unsafe String(cString: $0) == "true" } ?? false

  public static var isRoot: Bool { geteuid() == 0 }

  /// Huge pages of 2 MiB for `size` are free.
  public static func hugePages(_ size: ByteCount) -> Bool {
    let pool = HostProbe().host().hugePages.first { $0.size == .mebibytes(2) }
    return (pool?.availableBytes ?? .zero) >= size || (isStrict && isRoot)
  }

  /// Root may raise the pool of 2 MiB pages: not in a container whose /sys is read-only.
  public static var canReserve: Bool {
    let path = HugePagePool(size: .mebibytes(2)).path
    // SAFETY: the path's bytes live through the call.
    return unsafe isRoot && (isStrict || access(path, W_OK) == 0)
  }

  /// Root may run a program as nobody.
  public static var canChangeUser: Bool {
    // SAFETY: the texts' bytes live through the calls.
    unsafe isRoot && getpwnam("nobody") != nil
      && (access("/sbin/runuser", X_OK) == 0 || access("/usr/sbin/runuser", X_OK) == 0)
  }

  /// Shared memory may have transparent huge pages.
  public static var sharedHugePages: Bool {
    let mode = HostProbe().host().transparentHugePages.sharedMemory
    return mode?.givesHugePages == true || (isStrict && isRoot)
  }

  /// Why a test without huge pages was skipped, for its comment.
  public static let hugePagesComment =
    "needs free huge pages: echo 200 > /proc/sys/vm/nr_hugepages"
  public static let sharedHugePagesComment =
    "needs: echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"
}
