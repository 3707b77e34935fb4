/// How much a fault zeroes or copies at once.
public enum FaultGranularity: Hashable, Sendable {
  /// One base page.
  case basePage
  /// A large page of 2 MiB, where the mapping has all of it, none of it is resident in the top
  /// object, and a block of that size is free; otherwise one base page. The same as `basePage`
  /// where base pages are that large.
  case largePage
}
