package import HoldfastCore

/// The addresses of this process at which a guest's memory is mapped: a pmap whose guest addresses
/// are offsets from a host address.
package protocol GuestWindow: InspectablePmap {
  /// The arena whose frames the window maps.
  var arena: Arena { get }
  /// The addresses of the window.
  var hostRange: HostRange { get }
  /// Why pages are not installed through userfaultfd, or nil if they are or need not be.
  var userFaultProblem: String? { get }
  /// Whether the window maps whole large pages however small the pieces are in which pages are
  /// entered.
  var isAlwaysWhole: Bool { get }
}

extension GuestWindow {
  /// The range of the window for a run at an address, and its offset in the arena's file less that
  /// in the window, modulo 2^64.
  func location(of run: FrameRun, at address: Address) -> (part: Range<UInt64>, delta: UInt64) {
    let geometry = arena.geometry
    let part = address.rawValue..<address.rawValue + geometry.bytes(run.count).rawValue
    precondition(part.upperBound <= hostRange.length.rawValue, "a page outside of the window")
    return (part, geometry.bytes(run.start - Frame(0)).rawValue &- address.rawValue)
  }
}
