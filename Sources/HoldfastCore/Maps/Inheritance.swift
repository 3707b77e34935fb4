/// What a forked child's address space gets of a mapping (FreeBSD: `vm_inherit_t`, minherit(2)).
public enum Inheritance: Hashable, Sendable {
  /// The same memory (FreeBSD: `INHERIT_SHARE`).
  case share
  /// A copy, made page by page when either side writes (FreeBSD: `INHERIT_COPY`).
  case copy
  /// Nothing (FreeBSD: `INHERIT_NONE`).
  case none
}
