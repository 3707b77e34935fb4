internal import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// What one call of `lease` looks for, and what it came upon.
struct LeaseSearch {
  let request: LeaseRequest
  let name: LeaseName
  let folder: Folder
  let operation: String
  let cancellation: CancellationToken
  /// Somebody was at a file that would do.
  var isContended = false
  /// Somebody had one open that was already renamed: another leaser for a moment, or a member for long.
  var isOpenElsewhere = false
  /// The sizes that are ready.
  var seen: [ByteCount] = []
  /// Why files that seem to suit do not.
  var notes: [String] = []

  mutating func accepts(_ problem: String?, _ name: ReadyName) -> Bool {
    if let problem { notes.append("\(name.text) is left alone: \(problem)") }
    return problem == nil
  }

  /// A file that somebody else was faster to get, or that this user cannot have.
  mutating func lost(
    _ error: Errno, _ name: ReadyName, path: String
  ) throws(HoldfastError) -> (LeaseReceipt, OpenFile)? {
    switch error {
    // Leased by somebody else since the names were read, so there is something new to see.
    case .noSuchFileOrDirectory, .wouldBlock: isContended = true
    case .tooManySymbolicLinkLevels: notes.append("\(name.text) is left alone: it is a link")
    default:
      throw HoldfastError(
        errno: error, operation: operation, reason: "\(path)/ready/\(name.text) cannot be had",
        advice: .joinGroup)
    }
    return nil
  }

  /// That nothing suits, and why.
  var empty: HoldfastError {
    let place = request.node.map { " of node \($0)" } ?? ""
    var what = "nothing is ready\(place)"
    if let largest = seen.max() {
      what =
        request.isExact
        ? "no file of just that size is ready\(place)"
        : "the largest that is ready\(place) has \(largest)"
      if largest >= request.size, !request.isExact { what = "all that suits is in other hands" }
    }
    if let note = notes.first { what += "; \(note)" }
    return HoldfastError(
      .noReadyMemory, operation: operation, reason: what,
      advice: .fill(size: request.size, node: request.node))
  }
}
