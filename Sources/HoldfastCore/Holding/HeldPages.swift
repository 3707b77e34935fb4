/// Pages of an address space whose frames stay theirs until `release` or the end of this object,
/// although a device or the kernel accesses them without a translation (FreeBSD: pages of
/// `vm_fault_quick_hold_pages`; Linux: pin_user_pages(9)). Created by `AddressSpace.hold`.
///
/// Safe to use from any thread.
public final class HeldPages: Sendable {
  /// The addresses of the pages.
  public let range: AddressRange

  private let lock = Lock()
  /// Pages of one object, which has a reference for them. Protected by `lock`.
  private nonisolated(unsafe) var parts: [(object: MemoryObject, pages: PageRange)] = []

  init(_ range: AddressRange) {
    self.range = range
  }

  deinit { release() }

  /// Adds pages that were held in an object. The caller's reference becomes this object's.
  func add(_ object: MemoryObject, _ pages: PageRange) {
    lock.withLock { unsafe parts.append((object, pages)) }
  }

  /// Ends the hold. Pages that were unmapped meanwhile are freed. Called when no device accesses
  /// the memory any more. A second call does nothing.
  ///
  /// - Complexity: O(runs). Takes the objects' locks in turn.
  public func release() {
    let ended = lock.withLock {
      defer { unsafe parts = [] }
      return unsafe parts
    }
    for (object, pages) in ended {
      object.unhold(pages)
      object.release()
    }
  }
}
