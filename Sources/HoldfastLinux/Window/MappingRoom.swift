internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// How many mappings of the kernel's all windows of this process may make together: a process may have
/// `vm.max_map_count`, and whoever removes or protects a part of one needs another.
///
/// No more than half of that in extents, as a gap may lie beside each, less what is set aside for the
/// rest of the process and for undoing.
struct MappingRoom {
  private let limit: Int

  /// The extents of all windows.
  private static let count = Atomic<Int>(0)
  private static let setAside: UInt64 = 8192

  init(_ host: HostCapabilities) {
    let mappings = host.maximumMapCount ?? 65_530
    limit = Int(clamping: (mappings - min(mappings, Self.setAside)) / 2)
  }

  /// Whether another mapping may be made.
  var isThere: Bool { Self.count.load(ordering: .relaxed) < limit }

  /// Throws resourceShortage where a mapping has to be cut and there is no room for another.
  func checkSplit(isCut: Bool, at address: Address) throws(HoldfastError) {
    guard isCut, !isThere else { return }
    throw HoldfastError(
      .resourceShortage, at: address,
      "this process has too many mappings; raise vm.max_map_count", errno: Errno.noMemory.rawValue)
  }

  func change(by difference: Int) {
    Self.count.wrappingAdd(difference, ordering: .relaxed)
  }

  /// A window goes that had so many.
  func leave(_ count: Int) {
    Self.count.wrappingSubtract(count, ordering: .relaxed)
  }
}
