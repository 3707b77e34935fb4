internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// The limit on mappings (VMAs) that all windows of this process make together. A process may have
/// `vm.max_map_count` of them, and to remove or protect a part of one takes another.
///
/// The limit is half of that in extents, since a gap may follow each, less what is set aside for
/// the rest of the process and for undoing operations.
struct MappingRoom {
  private let limit: Int

  /// The number of extents of all windows.
  private static let count = Atomic<Int>(0)
  private static let setAside: UInt64 = 8192

  init(_ host: HostCapabilities) {
    let mappings = host.maximumMapCount ?? 65_530
    limit = Int(clamping: (mappings - min(mappings, Self.setAside)) / 2)
  }

  /// Whether another mapping may be made.
  var isAvailable: Bool { Self.count.load(ordering: .relaxed) < limit }

  /// Checks that a mapping may be split.
  ///
  /// - Throws: code `resourceShortage` if it has to be split and there is no room for another.
  func checkSplit(isCut: Bool, at address: Address) throws(HoldfastError) {
    guard isCut, !isAvailable else { return }
    throw HoldfastError(
      .resourceShortage, at: address,
      "this process has too many mappings", errno: Errno.noMemory.rawValue,
      advice: .raiseLimit("vm.max_map_count"))
  }

  /// Counts extents that a window made or, if negative, removed.
  func change(by difference: Int) {
    Self.count.wrappingAdd(difference, ordering: .relaxed)
  }

  /// Uncounts the extents of a window that ends.
  func leave(_ count: Int) {
    Self.count.wrappingSubtract(count, ordering: .relaxed)
  }
}
