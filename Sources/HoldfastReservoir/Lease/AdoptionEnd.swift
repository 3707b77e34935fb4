/// What happens to a lease when the arena that adopted it is gone.
public enum AdoptionEnd: Hashable, Sendable {
  /// The lease is recycled, which only the owner and root can do. Where that is impossible, for
  /// example because another process has the file open, it is released.
  case recycle(RecycleOptions)
  /// The lease is released.
  case release
}
