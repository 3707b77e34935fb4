internal import HoldfastCore
package import HoldfastLinux

/// Leased memory.
///
/// A plain lease is its user's until ``Reservoir/release(_:user:)``,
/// ``Reservoir/recycle(_:user:otherwise:options:progress:)`` or ``ReservoirClient/release(_:)``, also
/// after the object is gone. A held
/// lease (``LeaseRequest/isHeld``) ends when its descriptor is closed in all processes. This object
/// closes it when it is destroyed, so keep it until a child process has inherited the descriptor or
/// an arena has adopted the lease.
public final class Lease: Sendable {
  /// The properties of the memory.
  public let receipt: LeaseReceipt
  /// How it was leased.
  let origin: Origin

  enum Origin: Sendable {
    case reservoir(Reservoir)
    case client(ReservoirClient)
  }

  private let lock = Lock()
  /// The open file, which has the lock of a held lease; nil once an arena has it. Protected by
  /// `lock`.
  private nonisolated(unsafe) var file: OpenFile?

  init(_ receipt: LeaseReceipt, _ file: OpenFile, _ origin: Origin) {
    self.receipt = receipt
    self.origin = origin
    unsafe self.file = file
  }

  /// The descriptor of the open file, close-on-exec, for a monitor that takes memory by descriptor.
  /// It is open as long as the object exists. -1 once an arena has adopted the lease.
  public var descriptor: Int32 { lock.withLock { unsafe file?.descriptor ?? -1 } }

  /// The open file, for a caller that uses its descriptor while another thread may have an arena
  /// adopt the lease; nil once one has.
  package var openFile: OpenFile? { lock.withLock { unsafe file } }

  /// Takes the open file out of the object; nil where it has been taken.
  func takeFile() -> OpenFile? {
    lock.withLock {
      let taken = unsafe file
      unsafe file = nil
      return taken
    }
  }

  /// Undoes ``takeFile()``.
  func putBack(_ file: OpenFile) {
    lock.withLock { unsafe self.file = file }
  }
}
