public import HoldfastCore

/// Options of recycling.
public struct RecycleOptions: Hashable, Sendable {
  /// What becomes of the memory.
  public var reuse = Reuse.fresh
  /// The size that was leased, where it is known: a monitor may have changed that of the file. Nil
  /// for the size of the file.
  public var size: ByteCount?
  /// Whether to read all of the memory after scrubbing, for debugging. A byte that is not zero is
  /// an error, and the memory is returned to the host.
  public var verifies = false
  /// The number of threads that populate or scrub, or nil for one for each available processor.
  public var threads: Int?
  /// How long to wait for other processes to close the file, such as a monitor that has just ended.
  public var timeout = Duration.milliseconds(250)

  /// Creates options; the parameters are the properties.
  public init(reuse: Reuse = .fresh, verifies: Bool = false, threads: Int? = nil) {
    self.reuse = reuse
    self.verifies = verifies
    self.threads = threads
  }
}
