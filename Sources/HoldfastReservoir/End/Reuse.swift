/// What becomes of a lease's memory when it ends and no process uses it.
public enum Reuse: String, Hashable, Sendable, Codable, CaseIterable {
  /// The memory returns to the kernel, and as much new memory is populated and becomes ready. Safe
  /// whatever the monitor did: pages that a process has pinned stay with that process. Takes as
  /// long as a fill.
  case fresh
  /// The memory is zeroed in place and becomes ready again, with a third of the processor time once
  /// the process has found the fastest way to zero. Only for monitors that you trust with the
  /// memory of all later guests: the kernel proves that no process has the file open or mapped, but
  /// not that none has pinned pages of it, as a fixed buffer of io_uring(7), in a pipe (vmsplice(2))
  /// or for a device (vfio). Memory of other users than the owner and root is never scrubbed; it is
  /// released.
  case scrub
  /// The memory returns to the kernel.
  case release
}
