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
