internal import CHoldfastLinux
internal import SystemPackage

extension Scrubber {
  /// The priority that the threads got.
  public enum Priority: String, Hashable, Sendable, Codable {
    /// SCHED_IDLE: they run where a processor would have nothing to do.
    case idle
    /// Nice 19, a sixty-eighth of the weight of others.
    case nice
    /// As whoever made them.
    case normal
  }

  /// Takes the lowest priority that the host allows to the calling thread, and says why not a lower
  /// one.
  static func lowerPriority(
    idle: () -> Int32 = { hf_thread_set_idle() }, nice: () -> Int32 = { hf_thread_set_nice(19) }
  ) -> (priority: Priority, problem: String?) {
    let first = idle()
    if first >= 0 { return (.idle, nil) }
    let problem = "SCHED_IDLE was refused: \(Errno(rawValue: -first))"
    let second = nice()
    if second >= 0 { return (.nice, problem) }
    return (.normal, problem + ", and nice 19: \(Errno(rawValue: -second))")
  }
}
