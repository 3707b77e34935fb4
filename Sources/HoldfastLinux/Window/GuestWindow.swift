package import HoldfastCore

/// Where a guest's memory is reached in this process: a pmap whose guest addresses are offsets from a
/// host address.
package protocol GuestWindow: InspectablePmap {
  var arena: Arena { get }
  /// The addresses of the window.
  var hostRange: HostRange { get }
  /// Why pages are not installed by userfaultfd, or nil where they are or need not be.
  var userFaultProblem: String? { get }
  /// Whether the window maps whole large pages, in whatever pieces pages are entered.
  var isAlwaysWhole: Bool { get }
}

extension GuestWindow {
  /// Where a run is to be entered, in the window, and how far from there it lies in the arena's file,
  /// modulo 2^64.
  func place(of run: FrameRun, at address: Address) -> (part: Range<UInt64>, delta: UInt64) {
    let geometry = arena.geometry
    let part = address.rawValue..<address.rawValue + geometry.bytes(run.count).rawValue
    precondition(part.upperBound <= hostRange.length.rawValue, "a page outside of the window")
    return (part, geometry.bytes(run.start - Frame(0)).rawValue &- address.rawValue)
  }
}
