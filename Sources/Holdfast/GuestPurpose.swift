/// What a guest does with its memory, and so where the memory can be.
public enum GuestPurpose: String, Hashable, Sendable, CaseIterable, Codable {
  /// All memory up to the guest's limit is mapped once, wired, readable and writable, and stays so
  /// until the guest is gone. Such a guest can be placed in the arena's own mapping, where wiring
  /// makes no system call.
  case wiring
  /// Parts of the memory are mapped, unmapped or write-protected while the guest runs, its addresses
  /// have holes, or it maps segments of other guests. It gets a window. With demand paging and
  /// forks the purpose is always this one.
  case mapping
}
