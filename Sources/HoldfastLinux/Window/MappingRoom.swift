internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// The limit on mappings (VMAs) that all windows of this process make together. A process may have
/// `vm.max_map_count` of them, less what is set aside here for the rest of the process and for
/// operations that undo others.
///
/// A window may take another mapping only while it has no more of them than are left for all. So a
/// guest that causes mappings on purpose, by writing to every second page of a forked image, gets
/// at most half of them, a second one half of the rest, and so on: something is left for the first
/// access of the next guest, however many others do their worst, and a guest alone is limited late.
/// A fixed share for each guest would need to know how many will come.
struct MappingRoom {
  /// The mappings that all windows may have together.
  private let limit: Int

  /// The number of mappings of all windows.
  private static let count = Atomic<Int>(0)
  private static let setAside: UInt64 = 8192

  init(_ host: HostCapabilities) {
    let mappings = host.maximumMapCount ?? 65_530
    limit = Int(clamping: mappings - min(mappings, Self.setAside))
  }

  /// Whether a window that has `own` mappings may make `added` more. Windows that ask at once may
  /// exceed the limit by a few, for which enough is set aside.
  func allows(_ added: Int, own: Int) -> Bool {
    added <= 0 || own + added <= limit - Self.count.load(ordering: .relaxed) - added
  }

  /// The error where it may not.
  func shortage(at address: Address) -> HoldfastError {
    HoldfastError(
      .resourceShortage, at: address,
      "this process has too many mappings", errno: Errno.noMemory.rawValue,
      advice: .raiseLimit("vm.max_map_count"))
  }

  /// Counts mappings that a window made or, if negative, removed.
  func change(by difference: Int) {
    Self.count.wrappingAdd(difference, ordering: .relaxed)
  }
}
