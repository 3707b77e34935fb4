internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// What one call of `lease` looks for, and what it has found out.
struct LeaseSearch {
  let request: LeaseRequest
  let name: LeaseName
  let holder: Leaseholder
  let folder: Folder
  let operation: String
  let cancellation: CancellationToken
  /// Another process was using a file that would do.
  var isContended = false
  /// Another process had a file open that was already renamed: briefly to lease it, or for long.
  var isOpenElsewhere = false
  /// The number of files that were put aside.
  var asideCount = 0
  /// The sizes that are ready.
  var seen: [ByteCount] = []
  /// Why files were skipped.
  var notes: [String] = []

  /// Notes why a file could not be taken. Another file may do.
  ///
  /// - Throws: the error, where it concerns all files.
  mutating func skip(_ name: ReadyName, _ error: Errno, path: String) throws(HoldfastError) {
    switch error {
    // Another process has leased it since the names were read, so there is something new to see.
    case .noSuchFileOrDirectory, .wouldBlock: isContended = true
    default:
      throw HoldfastError(
        errno: error, operation: operation, reason: "cannot open \(path)/ready/\(name.text)",
        advice: .becomeRoot)
    }
  }

  /// The error that no file satisfies the request, with the reason.
  var noReadyMemory: HoldfastError {
    let place = request.node.map { " on node \($0)" } ?? ""
    var reason = "no memory is ready\(place)"
    if let largest = seen.max() {
      if largest >= request.size, !request.isExact {
        reason =
          notes.isEmpty
          ? "other processes are using all files that are large enough"
          : "no file that is large enough can be leased"
      } else {
        reason =
          request.isExact
          ? "no file of exactly that size is ready\(place)"
          : "the largest file that is ready\(place) has \(largest)"
      }
    }
    if let note = notes.first { reason += "; \(note)" }
    return HoldfastError(
      .noReadyMemory, operation: operation, reason: reason,
      advice: .fill(size: request.size, node: request.node))
  }
}
