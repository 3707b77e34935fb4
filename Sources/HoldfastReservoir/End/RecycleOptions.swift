/// Options of recycling.
public struct RecycleOptions: Hashable, Sendable {
  /// Whether to read all of the memory after scrubbing, for debugging. A byte that is not zero is
  /// an error, and the memory is returned to the host.
  public var verifies = false
  /// The number of threads that scrub, or nil for one for each available processor.
  public var threads: Int?
  /// How long to wait for other processes to close the file, such as a monitor that has just ended.
  public var timeout = Duration.milliseconds(250)

  /// Creates options; the parameters are the properties.
  public init(verifies: Bool = false, threads: Int? = nil) {
    self.verifies = verifies
    self.threads = threads
  }
}
